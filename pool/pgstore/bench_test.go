package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// share has so many goroutines do a benchmark's work together.
func share(b *testing.B, clients int, do func(client int) error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for client := range clients {
		all.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := do(client); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// benched returns a pool of a namespace with so many node bits, and the URL of its
// store.
func benched(b *testing.B, connections, bits int) (*pool.Local, layout.Layout, string) {
	b.Helper()
	address := pgtest.With(pgtest.Schema(b, pgtest.Server(b)), fmt.Sprintf("pool_max_conns=%d", connections))
	s, err := pgstore.Open(b.Context(), address)
	require.NoError(b, err)
	p := pool.New(s)
	b.Cleanup(func() { require.NoError(b, p.Close()) })
	config := layout.DefaultConfig()
	config.NodeBits = bits
	l, err := layout.New(config)
	require.NoError(b, err)
	ns := pool.NewNamespace(name, l)
	ns.Terms.FirstWindow, ns.Terms.Window, ns.Terms.Horizon = time.Hour, time.Hour, 2*time.Hour
	require.NoError(b, p.CreateNamespace(b.Context(), ns))
	return p, l, address
}

// BenchmarkRenew renews leases: through the pool, and by nothing but the statements
// that it needs, prepared and in one message each: lock, and compare and write, as the
// store does; or compare and write alone, which is not safe and the least that anything
// could do.
func BenchmarkRenew(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("by=pool/clients=%d", clients), func(b *testing.B) {
			p, l, _ := benched(b, clients, 8)
			grants := make([]pool.Grant, clients)
			for i := range grants {
				var err error
				grants[i], err = p.Acquire(b.Context(), name, l, pool.NewToken())
				require.NoError(b, err)
			}
			share(b, clients, func(i int) (err error) {
				g := &grants[i]
				*g, err = p.Renew(context.Background(), pool.Renewal{
					Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken(),
				})
				return err
			})
		})
		for _, locks := range []bool{true, false} {
			by := "write"
			if locks {
				by = "transaction"
			}
			b.Run(fmt.Sprintf("by=%s/clients=%d", by, clients), func(b *testing.B) { benchmarkBare(b, clients, locks) })
		}
	}
}

func benchmarkBare(b *testing.B, clients int, locks bool) {
	b.Helper()
	p, l, address := benched(b, 1, 8)
	address, schema, _ := strings.Cut(address, "easyflake_schema=")
	schema, _, _ = strings.Cut(schema, "&")
	db, err := pgxpool.New(b.Context(), fmt.Sprintf("%spool_max_conns=%d", address, clients))
	require.NoError(b, err)
	defer db.Close()
	nodes, revisions := make([]int64, clients), make([]int64, clients)
	for i := range nodes {
		g, err := p.Acquire(b.Context(), name, l, pool.NewToken())
		require.NoError(b, err)
		nodes[i] = g.Node
		require.NoError(b, db.QueryRow(b.Context(), "SELECT revision FROM "+schema+".nodes WHERE node = $1", g.Node).Scan(&revisions[i]))
	}
	var namespace int64
	require.NoError(b, db.QueryRow(b.Context(), "SELECT revision FROM "+schema+".namespaces WHERE name = $1", []byte(name)).Scan(&namespace))
	value := make([]byte, 200)
	sql := `UPDATE ` + schema + `.nodes SET revision = nextval('` + schema + `.revisions'), value = $2
		WHERE namespace = $1 AND node = $4 AND revision = $5
		AND EXISTS (SELECT FROM ` + schema + `.namespaces WHERE name = $1 AND revision = $3) RETURNING revision`
	share(b, clients, func(i int) error {
		if !locks {
			return db.QueryRow(context.Background(), sql, []byte(name), value, namespace, nodes[i], revisions[i]).Scan(&revisions[i])
		}
		return lockAndWrite(db, sql, []byte(name), value, namespace, nodes[i], &revisions[i])
	})
}

// BenchmarkAcquire leases a node of a namespace of which so many are taken, and gives
// it back.
func BenchmarkAcquire(b *testing.B) {
	const clients = 64
	for _, fill := range []struct {
		bits    int
		percent int64
	}{{6, 50}, {16, 50}, {16, 99}} {
		b.Run(fmt.Sprintf("nodes=%d/full=%d", 1<<fill.bits, fill.percent), func(b *testing.B) {
			p, l, address := benched(b, clients, fill.bits)
			_, schema, _ := strings.Cut(pgstore.Redacted(address), "easyflake_schema=")
			g, err := p.Acquire(b.Context(), name, l, pool.NewToken())
			require.NoError(b, err)
			// All have the same token: nobody comes to renew. A step that shares no
			// factor with their number spreads them evenly.
			pgtest.Exec(b, pgtest.Server(b), fmt.Sprintf(`INSERT INTO %[1]s.nodes
				SELECT namespace, i::bigint * 40503 %% %[3]d, nextval('%[1]s.revisions'), value
				FROM %[1]s.nodes, generate_series(1, %[4]d) i WHERE node = %[2]d
				ON CONFLICT DO NOTHING; ANALYZE %[1]s.nodes`, schema, g.Node, 1<<fill.bits, (1<<fill.bits)*fill.percent/100))
			var refused, spent atomic.Int64
			share(b, clients, func(int) error {
				for began := time.Now(); ; {
					g, err := p.Acquire(context.Background(), name, l, pool.NewToken())
					if _, ok := errors.AsType[*pool.ExhaustedError](err); ok {
						refused.Add(1) // by others who have just the last ones
						continue
					}
					if err != nil {
						return err
					}
					spent.Add(int64(time.Since(began)))
					return p.Release(context.Background(), pool.Release{Namespace: name, Node: g.Node, Token: g.Token, Last: g.From - 1})
				}
			})
			b.ReportMetric(float64(spent.Load())/float64(b.N), "acquire-ns/op")
			b.ReportMetric(float64(refused.Load())/float64(b.N), "refused/op")
		})
	}
}
