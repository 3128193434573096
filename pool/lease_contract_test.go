package pool_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator"               //nolint:depguard // the test is that a lease is its source
	"github.com/easyflake/easyflake/generator/generatortest" //nolint:depguard // the test is that generators on a lease keep their contract
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// forever is a pool of one node, whose only window lasts as long as the layout: the
// contract's cases move the clock about by years, which is not to be about
// renewals.
type forever struct {
	node  int64
	clock interface{ Now() int64 }
}

var _ pool.Pool = forever{}

func (p forever) Acquire(_ context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	return pool.Grant{Namespace: namespace, Node: p.node, Token: token, Until: l.MaxTick() + 1, Now: p.clock.Now()}, nil
}

func (forever) Renew(context.Context, pool.Renewal) (pool.Grant, error) {
	return pool.Grant{}, pool.ErrLeaseLost
}

func (forever) Release(context.Context, pool.Release) error                  { return nil }
func (forever) List(context.Context, string) iter.Seq2[pool.NodeInfo, error] { return nil }
func (forever) Revoke(context.Context, string, int64) error                  { return nil }
func (forever) Retire(context.Context, string, int64) error                  { return nil }

// TestContractOnALease runs the contract of generators with their node leased.
func TestContractOnALease(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			ordered := o.name != "Sharded" // as package generator promises
			generatortest.Run(t, generatortest.Factory{
				New: func(s generatortest.Setup) (generator.Generator, error) {
					// A clock of its own, so that the lease is no sleeper of the
					// suite's.
					still := clocktest.New(s.Layout.Epoch())
					lease, err := pool.Acquire(t.Context(), forever{s.Node, still}, "orders", s.Layout, pool.WithClock(still))
					if err != nil {
						return nil, err
					}
					t.Cleanup(func() { require.NoError(t, lease.Close()) })
					return o.open(s.Layout, lease, s.Options()...)
				},
				Increasing: ordered, TickOrder: true, WholeTicks: ordered, BackwardLimit: true, Borrow: true, Fail: true,
			})
		})
	}
}
