//go:build !windows

package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
)

// killsVariable says how often the tests below kill a server, 20 times by default.
const killsVariable = "EASYFLAKE_TEST_KILLS"

const (
	keepers  = 25 // clients that keep one lease
	changers = 25 // clients that lease, use and give back, again and again
)

// TestServerIsKilledUnderLoad kills a server at random moments and starts it again.
// Its clients must not notice, but for having to wait.
func TestServerIsKilledUnderLoad(t *testing.T) {
	t.Run("short windows", func(t *testing.T) {
		// So short that leases are renewed in each life of the server, and nodes
		// so few that they go from hand to hand.
		k := newKilling(t, "node=7,sequence=10", "    skew: 100ms\n    first_window: 1s\n    window: 2s\n    horizon: 4s\n")
		k.renewals = true
		k.run()
		assert.NotZero(t, k.without.Load(), "no outage was longer than the windows")
	})
	t.Run("default windows", func(t *testing.T) {
		// So long that no outage comes near their ends: nobody may ever be without.
		k := newKilling(t, "node=11,sequence=10", "")
		k.run()
		assert.Zero(t, k.without.Load(), "a generator was without a window, outages being no longer than %v", k.outage)
		assert.Zero(t, k.witness.late)
	})
}

// killing is a server that is killed and started again, and its clients.
type killing struct {
	*testing.T

	layout   layout.Layout
	config   string
	folder   string
	port     int
	renewals bool // a keeper's progress is a renewal, else an ID
	random   *rand.Rand
	witness  *witness
	clock    clock.Clock

	server   *life
	number   atomic.Int64 // of the server's life
	progress headway
	without  atomic.Int64  // how often a generator had no window
	dry      chan struct{} // has an element once one has none
	gap      atomic.Int64  // the longest time between two of a keeper's IDs
	outage   time.Duration // the longest one

	mu  sync.Mutex // owns ids
	ids []layout.ID
}

func newKilling(t *testing.T, form, terms string) *killing {
	t.Helper()
	l, err := layout.Parse(form)
	require.NoError(t, err)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	k := &killing{
		T: t, layout: l, folder: t.TempDir(),
		random: rand.New(rand.NewPCG(seed, 0)),
		clock:  clock.Default(),
		dry:    make(chan struct{}, 1),
	}
	k.config = write(t, filepath.Join(k.folder, "config.yaml"), "namespaces:\n  - name: default\n    layout: "+form+"\n"+terms)
	k.witness = newWitness(l)
	k.port = freePort(t)
	k.progress.reached = make(chan struct{})
	return k
}

// freePort returns a port that is free, and that no connection gets as its own end:
// while the server is dead, one of its clients could have it and keep it.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// life is a server's, from one start to one death.
type life struct {
	*exec.Cmd

	said  safeBuffer
	ended chan struct{}
}

func (k *killing) start() {
	k.Helper()
	s := &life{ended: make(chan struct{})}
	s.Cmd = exec.CommandContext(k.Context(), os.Args[0], "grpc", "-p", strconv.Itoa(k.port),
		"--config", k.config, "--store", "bolt:"+filepath.Join(k.folder, "store"), "--log-level", "warn")
	s.Env = append(os.Environ(), asProgram+"=1", "XDG_STATE_HOME="+k.folder)
	s.Stderr = &s.said
	require.NoError(k, s.Start())
	k.server = s
	go func() {
		_ = s.Wait()
		close(s.ended)
	}()
}

// kill kills the server. What is asked for from now on is the next one's to answer.
func (k *killing) kill() {
	k.Helper()
	require.NoError(k, k.server.Process.Signal(syscall.SIGKILL))
	<-k.server.ended
	status, ok := k.server.ProcessState.Sys().(syscall.WaitStatus)
	require.True(k, ok)
	require.Equal(k, syscall.SIGKILL, status.Signal(), "it had ended before: %s", &k.server.said)
	require.Empty(k, k.server.said.String(), "a server has complained")
}

// await waits for progress that the server's life makes.
func (k *killing) await(what string, reached <-chan struct{}) {
	k.Helper()
	select {
	case <-reached:
	case <-k.server.ended:
		require.Fail(k, "the server has ended", "%s", &k.server.said)
	case <-time.After(2 * patience):
		require.Fail(k, "waited in vain", "for %s; the server: %s; still waiting: %v; found: %v", what, &k.server.said, k.progress.missing(), k.witness.found())
	}
	require.Empty(k, k.witness.found())
}

// run is the test.
func (k *killing) run() {
	kills := 20
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		require.NoError(k, err)
	}
	ctx, stop := context.WithCancel(k.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	began := time.Now()
	k.begin()
	for i := range keepers + changers {
		client := k.client(i)
		clients.Go(func() {
			defer client.close()
			switch {
			case i < keepers:
				client.keep(ctx)
			case i%2 == 0:
				client.change(ctx)
			default:
				client.changeBare(ctx)
			}
		})
	}
	looking := k.client(-1)
	defer looking.close()
	brief, compared := 0, 0
	for i := range kills {
		k.await("all clients", k.progress.everybody())
		compared += k.look(looking)
		k.await("some more requests", k.progress.more(k.random.IntN(300)))
		k.restart(k.renewals && i%7 == 3)
		if k.random.IntN(3) == 0 { // and at once again, in the middle of it all
			k.await("a few requests", k.progress.more(k.random.IntN(100)))
			k.restart(false)
			brief++
		}
	}
	k.await("all clients", k.progress.everybody())
	compared += k.look(looking)
	stop()
	clients.Wait()
	require.NoError(k, k.server.Process.Signal(syscall.SIGTERM))
	<-k.server.ended
	assert.Zero(k, k.server.ProcessState.ExitCode(), "%s", &k.server.said)

	handed := k.witness.overlaps()
	assert.Empty(k, k.witness.found())
	made := len(k.ids)
	slices.Sort(k.ids)
	assert.Len(k, slices.Compact(k.ids), made, "IDs are made twice")
	assert.NotZero(k, made)
	assert.NotZero(k, compared)
	k.Logf("killed %d times, %d of them in the middle of starting to work, in %v: %d leases of %d requests acknowledged, %d handovers of a node, %d listed ones compared, %d lost after their windows, %d IDs",
		kills+brief, brief, time.Since(began).Round(time.Millisecond), len(k.witness.leases), k.progress.total(), handed, compared, k.witness.late, made)
	k.Logf("longest outage, until the first answer: %v; longest time between two IDs of a client: %v; without a window when asked for an ID: %d times",
		k.outage.Round(time.Millisecond), time.Duration(k.gap.Load()).Round(time.Millisecond), k.without.Load())
}

// begin begins a life of the server.
func (k *killing) begin() {
	k.Helper()
	k.number.Add(1)
	k.progress.begin()
	k.start()
}

// restart kills the server and starts it again, until it answers. A long outage
// lasts until windows have run out.
func (k *killing) restart(long bool) {
	k.Helper()
	dead := time.Now()
	k.kill()
	if long {
		select {
		case <-k.dry: // before
		default:
		}
		select {
		case <-k.dry:
		case <-time.After(patience):
			require.Fail(k, "windows have no end")
		}
	}
	k.begin()
	k.await("the first answer", k.progress.more(0))
	k.outage = max(k.outage, time.Since(dead))
}

// look compares what the server lists with what was acknowledged.
func (k *killing) look(c *killedClient) int {
	k.Helper()
	before := k.witness.snapshot()
	var list []pool.NodeInfo
	for info, err := range c.pool.List(k.Context(), defaultNamespace) {
		require.NoError(k, err)
		list = append(list, info)
	}
	return k.witness.listed(before, list)
}

// headway tells how far the clients have come in this life of the server.
type headway struct {
	mu      sync.Mutex // owns the fields below
	life    int64
	came    map[int]bool // the clients that have made progress
	count   int          // of answers in this life
	all     int          // of answers
	target  int          // of count
	reached chan struct{}
	each    chan struct{}
}

func (p *headway) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life++
	p.came, p.count, p.target = make(map[int]bool), 0, -1
	p.each = make(chan struct{})
}

// answered notes an answer in a life of the server.
func (p *headway) answered(life int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all++
	if life != p.life {
		return
	}
	p.count++
	if p.count == p.target {
		close(p.reached)
	}
}

// made notes that a client has made progress in a life of the server.
func (p *headway) made(life int64, client int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if life != p.life || p.came[client] || client < 0 {
		return
	}
	p.came[client] = true
	if len(p.came) == keepers+changers {
		close(p.each)
	}
}

// more is closed after the next answer and n more.
func (p *headway) more(n int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = p.count + 1 + n
	p.reached = make(chan struct{})
	return p.reached
}

// everybody is closed when all clients have made progress.
func (p *headway) everybody() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.each
}

func (p *headway) missing() (clients []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range keepers + changers {
		if !p.came[i] {
			clients = append(clients, i)
		}
	}
	return clients
}

func (p *headway) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

// killedClient is a program with a client of its own.
type killedClient struct {
	*killing

	number int
	pool   *watched
	close  func()
	ids    []layout.ID
}

func (k *killing) client(number int) *killedClient {
	k.Helper()
	remote, err := grpcpool.NewClient([]grpcpool.Endpoint{{Host: "127.0.0.1", Port: k.port}})
	require.NoError(k, err)
	c := &killedClient{killing: k, number: number}
	c.pool = &watched{Pool: remote, witness: k.witness, begin: func() func() {
		life := k.number.Load()
		return func() {
			k.progress.answered(life)
			if k.renewals || number >= keepers {
				k.progress.made(life, number)
			}
		}
	}}
	c.close = func() {
		if err := remote.Close(); err != nil {
			k.witness.wrong("client %d: %v", number, err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ids = append(k.ids, c.ids...)
	}
	return c
}

// pause is between two attempts, and between two handfuls of IDs.
func (c *killedClient) pause(ctx context.Context, d time.Duration) {
	_ = c.clock.Wait(ctx, c.clock.Now()+int64(d))
}

// lease leases a node as a user's program does: it asks until it has one.
func (c *killedClient) lease(ctx context.Context) (*pool.Lease, *generator.Sharded) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	for ctx.Err() == nil {
		lease, err := pool.Acquire(ctx, c.pool, defaultNamespace, c.layout, pool.WithClock(c.clock), pool.WithLeaseLogger(quiet))
		if err != nil {
			c.bearable(ctx, err)
			c.pause(ctx, 20*time.Millisecond)
			continue
		}
		g, err := generator.NewSharded(c.layout, lease, generator.WithClock(c.clock))
		if err != nil {
			c.witness.wrong("client %d: %v", c.number, err)
			return nil, nil
		}
		return lease, g
	}
	return nil, nil
}

// bearable says that an error is what may happen while a server is killed and
// started again, and while its nodes are all taken.
func (c *killedClient) bearable(ctx context.Context, err error) {
	var call *grpcpool.CallError
	var exhausted *pool.ExhaustedError
	var notYet *pool.NotYetError
	if ctx.Err() == nil && !errors.As(err, &call) && !errors.As(err, &exhausted) && !errors.As(err, &notYet) {
		c.witness.wrong("client %d: %v", c.number, err)
	}
}

// make makes a handful of IDs.
func (c *killedClient) make(g *generator.Sharded, n int) {
	for range n {
		id, err := g.Next()
		switch {
		case err == nil:
			c.ids = append(c.ids, id)
		case errors.Is(err, generator.ErrNoLease):
			c.without.Add(1)
			select {
			case c.dry <- struct{}{}:
			default:
			}
			return
		default:
			c.witness.wrong("client %d: %v", c.number, err)
			return
		}
	}
}

// keep keeps a lease, and makes IDs all the time.
func (c *killedClient) keep(ctx context.Context) {
	lease, g := c.lease(ctx)
	if g == nil {
		return
	}
	latest := time.Now()
	for ctx.Err() == nil {
		life, before := c.killing.number.Load(), len(c.ids)
		c.make(g, 4)
		if len(c.ids) > before {
			now := time.Now()
			for gap, longest := int64(now.Sub(latest)), c.gap.Load(); gap > longest && !c.gap.CompareAndSwap(longest, gap); longest = c.gap.Load() {
			}
			latest = now
			if !c.renewals {
				c.progress.made(life, c.number)
			}
		}
		select {
		case <-lease.Done():
			c.witness.wrong("client %d: the lease has ended: %v", c.number, lease.Err())
			return
		default:
		}
		c.pause(ctx, time.Millisecond)
	}
	c.end(lease, g)
}

// end gives the lease back.
func (c *killedClient) end(lease *pool.Lease, g *generator.Sharded) {
	if err := errors.Join(g.Close(), lease.Close()); err != nil {
		c.bearable(context.Background(), err)
	}
}

// change leases nodes, uses them and gives them back.
func (c *killedClient) change(ctx context.Context) {
	for ctx.Err() == nil {
		lease, g := c.lease(ctx)
		if g == nil {
			return
		}
		c.make(g, 20)
		c.end(lease, g)
	}
}

// changeBare is change by requests of its own: each is repeated until it is
// answered, or given up.
func (c *killedClient) changeBare(ctx context.Context) {
	random := rand.New(rand.NewPCG(uint64(c.number), 0))
	for ctx.Err() == nil {
		token := pool.NewToken()
		var g pool.Grant
		if !c.repeat(ctx, random, func() (err error) {
			g, err = c.pool.Acquire(ctx, defaultNamespace, c.layout, token)
			return err
		}) {
			continue
		}
		held := true
		for range random.IntN(6) {
			r := pool.Renewal{Namespace: defaultNamespace, Node: g.Node, Token: token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()}
			if held = c.repeat(ctx, random, func() (err error) {
				g, err = c.pool.Renew(ctx, r)
				return err
			}); !held {
				break
			}
		}
		if !held {
			continue // it runs out
		}
		now, err := c.layout.Tick(time.Unix(0, c.clock.Now()))
		if err != nil {
			c.witness.wrong("%v", err)
			return
		}
		r := pool.Release{Namespace: defaultNamespace, Node: g.Node, Token: token, Last: g.From - 1 + random.Int64N(max(1, min(now, g.Until)-g.From+1))}
		c.repeat(ctx, random, func() error { return c.pool.Release(ctx, r) })
	}
}

// repeat repeats a request until it is answered, and says whether it was granted.
// Now and then it gives up.
func (c *killedClient) repeat(ctx context.Context, random *rand.Rand, request func() error) bool {
	for ctx.Err() == nil {
		err := request()
		if err == nil {
			return true
		}
		if errors.Is(err, pool.ErrLeaseLost) {
			return false // the witness has judged it
		}
		c.bearable(ctx, err)
		if random.IntN(20) == 0 {
			return false
		}
		c.pause(ctx, 20*time.Millisecond)
	}
	return false
}
