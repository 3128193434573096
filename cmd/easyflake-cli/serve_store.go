package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/filestore"
)

// memoryStore is a store that ends with the server. What an earlier server has
// granted it cannot know.
type memoryStore struct {
	*pool.Memory

	fresh bool
}

// Doubtful implements store.
func (m *memoryStore) Doubtful() string {
	if m.fresh {
		return ""
	}
	return "it is in memory, and knows nothing of an earlier server's leases; where there was none, start with --fresh"
}

// Settle implements store.
func (m *memoryStore) Settle(ctx context.Context, p *pool.Local) error {
	return p.Doubt(ctx) //nolint:wrapcheck // says itself what is wrong
}

// explainStore says what to do about a store that a server cannot open.
func (s *poolServer) explainStore(p *openPool, err error) error {
	switch {
	case errors.Is(err, filestore.ErrLost), errors.Is(err, filestore.ErrDamaged), errors.Is(err, filestore.ErrDoubtful):
		return &explainedError{fmt.Sprintf("%v; that is 'easyflake-cli grpc --restored'", plain(err)), err}
	}
	if p.url.engine == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s cannot be created: %w; create its folder, or name another store with --store", s.cmd.Store, plain(err))
	}
	return p.explain(err)
}
