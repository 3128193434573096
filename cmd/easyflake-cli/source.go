package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/filestore"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// nodeSource is where a generator's node comes from.
type nodeSource struct {
	generator.Source

	lease *pool.Lease // nil with a node by hand
	pool  *openPool
	over  context.Context //nolint:containedctx // ended by the pool's first failure for good
}

// source returns the node that was asked for, or leases one.
func (c *nextCmd) source(ctx context.Context, w *world, node int64) (*nodeSource, error) {
	if c.Node != nil {
		return &nodeSource{Source: generator.Static(node)}, nil
	}
	s := &nodeSource{}
	var err error
	if s.pool, err = w.openPool(ctx, c.Pool, openHow{create: c.Pool.scheme != schemeBolt, level: slog.LevelError, remote: c.remoteFlags}); err != nil {
		return nil, err
	}
	if err := c.lease(ctx, w, s); err != nil {
		return nil, errors.Join(err, plain(s.pool.Close()))
	}
	return s, nil
}

func (c *nextCmd) lease(ctx context.Context, w *world, s *nodeSource) error {
	name, l := c.Namespace, c.Layout.Layout
	if name == "" {
		var err error
		if name, err = s.pool.forLayout(ctx, l); err != nil {
			return err
		}
	}
	if s.pool.url.scheme == schemeFile {
		// Its users have no operator to ask.
		if err := s.pool.settle(ctx); err != nil {
			return err
		}
	}
	level := slog.LevelWarn
	if c.Quiet {
		level = slog.LevelError
	}
	over, fail := context.WithCancelCause(ctx)
	s.over = over
	lease, err := pool.Acquire(ctx, &watchedPool{s.pool.Manager, s.pool.url, fail}, name, l,
		pool.WithClock(w.clock), pool.WithLeaseLogger(w.logger(level)))
	if err != nil {
		fail(err)
		return s.pool.explain(err)
	}
	s.Source, s.lease = lease, lease
	return nil
}

// fill is g.Fill that waits for a lease that was lost to be replaced.
func (s *nodeSource) fill(g filler, dst []layout.ID) (int, error) {
	n, err := g.Fill(dst)
	if s.lease == nil || !errors.Is(err, generator.ErrNoLease) {
		return n, err
	}
	if n > 0 {
		return n, nil // to be printed before waiting
	}
	if s.over.Err() == nil {
		dst[0], err = g.NextContext(s.over)
	}
	switch {
	case err == nil:
		return 1, nil
	case s.over.Err() != nil && !errors.Is(err, generator.ErrClosed):
		return 0, s.pool.explain(context.Cause(s.over))
	}
	return 0, err
}

// close gives the node back, after its generator was closed.
func (s *nodeSource) close(w *world) {
	if s.lease == nil {
		return
	}
	if err := s.lease.Close(); err != nil {
		w.warn("%v; it is free when its window ends", plain(err))
	}
	if err := s.pool.Close(); err != nil {
		w.warn("%v", plain(err))
	}
}

// watchedPool notes when a pool has failed in a way that no repetition mends: a
// lease goes on trying, and the program would wait for ever.
type watchedPool struct {
	pool.Pool

	url  poolValue
	fail context.CancelCauseFunc
}

// Acquire implements [pool.Pool].
func (p *watchedPool) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	g, err := p.Pool.Acquire(ctx, namespace, l, token)
	p.note(err)
	return g, err //nolint:wrapcheck // this is the pool
}

// Renew implements [pool.Pool].
func (p *watchedPool) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	g, err := p.Pool.Renew(ctx, r)
	p.note(err)
	return g, err //nolint:wrapcheck // this is the pool
}

func (p *watchedPool) note(err error) {
	for _, final := range []error{
		filestore.ErrReplaced, filestore.ErrLost, filestore.ErrForeign, filestore.ErrNewer, filestore.ErrDamaged,
		filestore.ErrDoubtful,
	} {
		if errors.Is(err, final) {
			p.fail(err)
		}
	}
	if p.url.scheme == schemeBolt && errors.Is(err, boltstore.ErrFailed) {
		p.fail(err) // it answers nothing more once a write has failed
	}
	if p.url.engine != nil && slices.ContainsFunc(p.url.engine.final, func(final error) bool { return errors.Is(err, final) }) {
		p.fail(err)
	}
	var record *pool.RecordError
	var unknown *pool.UnknownNamespaceError
	var denied *access.DeniedError
	if errors.As(err, &record) || errors.As(err, &unknown) || errors.As(err, &denied) || errors.Is(err, access.ErrUnauthenticated) {
		p.fail(err)
	}
}
