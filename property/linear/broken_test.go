package linear

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// beginner makes the writes begun when they are waited for, and else never: as bolt may.
type beginner struct{ *pool.Memory }

// BeginWrite implements [pool.WriteBeginner].
func (b beginner) BeginWrite(w pool.Write) func(context.Context) (uint64, error) {
	return func(ctx context.Context) (uint64, error) { return b.Write(ctx, w) }
}

// broken is a pool in memory that breaks a rule.
type broken struct {
	scene
	breaks  func(scene, pool.Pool) pool.Pool
	forgets bool // with each restart
	store   pool.Store
	local   *pool.Local
}

func (b *broken) start(t *testing.T) pool.Pool {
	t.Helper()
	if b.store == nil || b.forgets {
		b.store = beginner{pool.NewMemory(b.clock, true)}
	}
	b.local = pool.New(b.store, pool.WithElapsed(b.elapsed), pool.WithLogger(slog.New(slog.DiscardHandler)))
	if err := b.local.CreateNamespace(t.Context(), b.namespace); !errors.Is(err, pool.ErrExists) {
		require.NoError(t, err)
	}
	return b.breaks(b.scene, b.local)
}

func (b *broken) stop(*testing.T) {} // what is in memory needs no closing

// rules are what a pool does instead of what it should; nil is as it should.
type rules struct {
	pool.Pool
	acquire func(ctx context.Context, token pool.Token) (pool.Grant, error)
	renew   func(ctx context.Context, r pool.Renewal) (pool.Grant, error)
	release func(ctx context.Context, r pool.Release) error
}

func (p rules) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	if p.acquire == nil {
		return p.Pool.Acquire(ctx, namespace, l, token)
	}
	return p.acquire(ctx, token)
}

func (p rules) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	if p.renew == nil {
		return p.Pool.Renew(ctx, r)
	}
	return p.renew(ctx, r)
}

func (p rules) Release(ctx context.Context, r pool.Release) error {
	if p.release == nil {
		return p.Pool.Release(ctx, r)
	}
	return p.release(ctx, r)
}

// TestBrokenPoolsAreFound: the judge sees through each of these, and finds nothing
// wrong with the same pool when nothing is broken.
func TestBrokenPoolsAreFound(t *testing.T) {
	honest := func(_ scene, p pool.Pool) pool.Pool { return p }
	for name, b := range map[string]broken{
		"nothing":           {breaks: honest},
		"a restart forgets": {breaks: honest, forgets: true},
		"acquire ignores who is there": {breaks: func(s scene, p pool.Pool) pool.Pool {
			return rules{Pool: p, acquire: func(ctx context.Context, token pool.Token) (pool.Grant, error) {
				g, err := p.Acquire(ctx, theName, s.namespace.Layout, token)
				if _, ok := errors.AsType[*pool.ExhaustedError](err); !ok {
					return g, err
				}
				now := s.clock.Now()
				from := s.terms.next(now - s.terms.skew)
				return pool.Grant{Namespace: theName, Token: token, From: from, Until: s.terms.tick(now + s.terms.first), Now: now}, nil
			}}
		}},
		"acquire gives another node each time": {breaks: func(s scene, p pool.Pool) pool.Pool {
			return rules{Pool: p, acquire: func(ctx context.Context, token pool.Token) (pool.Grant, error) {
				g, err := p.Acquire(ctx, theName, s.namespace.Layout, pool.NewToken())
				g.Token = token
				return g, err
			}}
		}},
		"renew ignores the token": {breaks: func(s scene, p pool.Pool) pool.Pool {
			return rules{Pool: p, renew: func(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
				g, err := p.Renew(ctx, r)
				if errors.Is(err, pool.ErrLeaseLost) {
					return pool.Grant{Namespace: theName, Node: r.Node, Token: r.Token, Until: r.Until + 1, Revision: r.Revision + 1, Now: s.clock.Now()}, nil
				}
				return g, err
			}}
		}},
		"renew is answered and not done": {breaks: func(s scene, p pool.Pool) pool.Pool {
			return rules{Pool: p, renew: func(_ context.Context, r pool.Renewal) (pool.Grant, error) {
				return pool.Grant{Namespace: theName, Node: r.Node, Token: r.Token, Until: r.Until, Revision: r.Revision + 1, Now: s.clock.Now()}, nil
			}}
		}},
		"release ignores the token": {breaks: func(_ scene, p pool.Pool) pool.Pool {
			return rules{Pool: p, release: func(ctx context.Context, r pool.Release) error {
				if err := p.Release(ctx, r); !errors.Is(err, pool.ErrLeaseLost) {
					return err
				}
				return nil
			}}
		}},
		"release is answered and not done": {breaks: func(_ scene, p pool.Pool) pool.Pool {
			return rules{Pool: p, release: func(context.Context, pool.Release) error { return nil }}
		}},
		"release is done a tick too early": {breaks: func(_ scene, p pool.Pool) pool.Pool {
			return rules{Pool: p, release: func(ctx context.Context, r pool.Release) error {
				r.Last--
				return p.Release(ctx, r)
			}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			found := 0
			for seed := range uint64(4) {
				h := record(t, seed, func(s scene) target {
					b := b
					b.scene = s
					return &b
				})
				if h.judge() != nil {
					found++
				}
			}
			if name == "nothing" {
				assert.Zero(t, found)
			} else {
				assert.NotZero(t, found)
			}
		})
	}
}
