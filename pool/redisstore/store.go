package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/easyflake/easyflake/pool"
)

// Store is a [pool.Store] in Redis that it shares with others. It is safe for
// concurrent use.
type Store struct {
	options

	client  redis.UniversalClient
	own     bool   // the client is closed with the store
	address string // without credentials

	keys    keys
	scripts scripts

	turn   chan struct{}         // holds an element while the store is being settled
	seen   atomic.Pointer[state] // what the last look has shown
	closed atomic.Bool
}

var _ pool.Store = (*Store)(nil)

// eval runs a script. go-redis sends it whole where the server does not have it yet.
func (s *Store) eval(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	reply, err := script.Run(ctx, s.client, keys, args...).Result()
	return reply, s.explain(err)
}

// seek has the client of a cluster ask who the masters are, after one has not answered.
// By itself it asks once a minute, and where a server that does answer sends it elsewhere:
// nobody does that in place of a server that is gone.
func (s *Store) seek() {
	if c, ok := s.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background()) // begins it, and does not wait
	}
}

func (s *Store) usable(ctx context.Context) error {
	if s.closed.Load() {
		return pool.ErrClosed
	}
	return ctx.Err()
}

// Namespaces implements [pool.Store].
func (s *Store) Namespaces(ctx context.Context) ([]string, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	names, err := s.client.HKeys(ctx, s.keys.namespaces).Result()
	if err != nil {
		return nil, s.explain(err)
	}
	slices.Sort(names)
	return names, nil
}

// Namespace implements [pool.Store].
func (s *Store) Namespace(ctx context.Context, name string) (pool.Record, error) {
	if err := s.usable(ctx); err != nil {
		return pool.Record{}, err
	}
	text, err := s.client.HGet(ctx, s.keys.namespaces, name).Result()
	if errors.Is(err, redis.Nil) {
		return pool.Record{}, nil
	}
	if err != nil {
		return pool.Record{}, s.explain(err)
	}
	r, err := parseRecord(text)
	if err != nil {
		return pool.Record{}, s.foreign(err, fmt.Sprintf("what is kept of namespace %q", name))
	}
	return r, nil
}

// few is how many nodes are asked for by their names: that is cheaper than the index, as
// long as most of them exist or there are not many.
const few = 128

// Nodes implements [pool.Store].
func (s *Store) Nodes(ctx context.Context, name string, first, last int64) ([]pool.NodeRecord, error) {
	var fields []string
	var records []any
	var err error
	switch {
	case first > last:
		return nil, s.usable(ctx)
	case uint64(last)-uint64(first) < few:
		fields, records, err = s.named(ctx, name, first, last)
	default:
		fields, records, err = s.indexed(ctx, name, first, last)
	}
	if err != nil {
		return nil, err
	}
	found := make([]pool.NodeRecord, 0, len(records))
	for i, record := range records {
		text, ok := record.(string)
		if !ok {
			continue // there is none
		}
		n, err := parseField(fields[i])
		if err != nil {
			return nil, s.foreign(err, fmt.Sprintf("%q among the nodes of namespace %q", fields[i], name))
		}
		r, err := parseRecord(text)
		if err != nil {
			return nil, s.foreign(err, node(name, n))
		}
		found = append(found, pool.NodeRecord{Node: n, Record: r})
	}
	return found, nil
}

// named reads the records of all nodes from first to last.
func (s *Store) named(ctx context.Context, name string, first, last int64) (fields []string, records []any, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, nil, err
	}
	for i := range last - first + 1 {
		fields = append(fields, field(first+i))
	}
	records, err = s.client.HMGet(ctx, s.keys.nodes+name, fields...).Result()
	return fields, records, s.explain(err)
}

// indexed reads the records of those nodes from first to last that have one.
func (s *Store) indexed(ctx context.Context, name string, first, last int64) (fields []string, records []any, err error) {
	reply, err := s.eval(ctx, s.scripts.nodes, []string{s.keys.nodes + name, s.keys.index + name}, field(first), field(last))
	if err != nil {
		return nil, nil, err
	}
	all, ok := reply.([]any)
	if !ok || len(all)%2 != 0 {
		return nil, nil, s.errorf(ErrUnsupported, nil, "it returns something else than a script's reply: use Redis 6.2 or newer")
	}
	for ; len(all) > 0; all = all[2:] {
		number, _ := all[0].(string)
		fields, records = append(fields, number), append(records, all[1])
	}
	return fields, records, nil
}

func node(name string, n int64) string {
	return fmt.Sprintf("what is kept of node %d of namespace %q", n, name)
}

// Now implements [pool.Store]: the server's time. It looks at the server at the same
// time, and fails where that can be used no more.
func (s *Store) Now(ctx context.Context) (int64, error) {
	st, err := s.look(ctx)
	if err != nil {
		return 0, err
	}
	return st.now, nil
}

// Exclusive implements [pool.Store]: others may write as well.
func (s *Store) Exclusive() bool { return false }

// Close implements [pool.Store]. A client that was given stays open.
func (s *Store) Close() error {
	if s.closed.Swap(true) || !s.own {
		return nil
	}
	return s.explain(s.client.Close())
}
