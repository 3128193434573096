package pooltest

import (
	"errors"
	"sync"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// crowd runs n goroutines and waits for them.
func crowd(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	done.Wait()
}

func crowdCases() []poolCase {
	return []poolCase{
		{
			name: "all at once",
			rule: "of many who ask at once, each gets a node of its own, until there are no more",
			run: func(k *poolKit) {
				second := k.another()
				var mu sync.Mutex
				taken := make(map[int64]pool.Token)
				refused := 0
				crowd(32, func(i int) {
					v := k.server
					if i%2 == 1 {
						v = second
					}
					g, err := k.try(v, k.token())
					mu.Lock()
					defer mu.Unlock()
					var exhausted *pool.ExhaustedError
					switch {
					case err == nil:
						if other, twice := taken[g.Node]; twice {
							k.errorf("node %d was granted to %v and to %v", g.Node, other, g.Token)
						}
						taken[g.Node] = g.Token
					case errors.As(err, &exhausted):
						refused++
					default:
						k.errorf("Acquire: %v", err)
					}
				})
				if nodes := int(k.ns.Layout.MaxNode()) + 1; len(taken) != nodes || refused != 32-nodes {
					k.errorf("%d of 32 have nodes and %d were refused, of %d nodes", len(taken), refused, nodes)
				}
			},
		},
		{
			name: "one token at once",
			rule: "requests with one token that are under way at once get one lease",
			run: func(k *poolKit) {
				second := k.another()
				token := k.token()
				crowd(16, func(i int) {
					v := k.server
					if i%2 == 1 {
						v = second
					}
					if _, err := k.try(v, token); err != nil {
						k.errorf("Acquire: %v", err)
					}
				})
				if n := len(k.list(k.server)); n != 1 {
					k.errorf("one token has %d nodes", n)
				}
			},
		},
		{
			name: "coming and going",
			rule: "of many who come, renew and go at once, no two hold a node for the same tick",
			run: func(k *poolKit) {
				second := k.another()
				crowd(64, func(i int) {
					v := k.server
					if i%2 == 1 {
						v = second
					}
					for j := range 6 {
						g, err := k.try(v, k.token())
						if err != nil {
							var exhausted *pool.ExhaustedError
							var notYet *pool.NotYetError
							if !errors.As(err, &exhausted) && !errors.As(err, &notYet) && !errors.Is(err, pool.ErrConflict) {
								k.errorf("Acquire: %v", err)
							}
							continue
						}
						h := &holder{k, g}
						if j%2 == 0 {
							h.renew(v)
						}
						h.release(v, h.From+int64(j))
					}
				})
			},
		},
		{
			name: "one lease at once",
			rule: "of copies that renew one lease at once, one goes on; the rest are refused",
			run: func(k *poolKit) {
				second := k.another()
				h := k.acquire(k.server)
				for range 4 {
					k.advance(time.Second)
					var mu sync.Mutex
					var winners []*holder
					crowd(8, func(i int) {
						v := k.server
						if i%2 == 1 {
							v = second
						}
						c := &holder{k, h.Grant}
						err := c.tryRenew(v)
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							winners = append(winners, c)
						} else if !errors.Is(err, pool.ErrLeaseLost) {
							k.errorf("Renew: %v", err)
						}
					})
					if len(winners) != 1 {
						k.fatalf("%d copies were renewed", len(winners))
					}
					h = winners[0]
				}
			},
		},
	}
}
