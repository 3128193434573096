package linear

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

var (
	seedFlag      = flag.Uint64("linear.seed", 0, "record a history from this seed only (0: fixed seeds and a fresh one)")
	historiesFlag = flag.Int("linear.histories", 6, "histories of each target, one of them from a fresh seed")
)

// target is a pool that can be started again on what it has stored.
type target interface {
	// start opens the store and returns what clients speak to.
	start(t *testing.T) pool.Pool
	// stop ends it, whatever it is doing. Requests under way end soon.
	stop(t *testing.T)
}

// sharer is a target whose store others may write to, too.
type sharer interface {
	target
	shares()
}

const theName = "orders"

// scene is what a seed draws of a history: the namespace, and the clock.
type scene struct {
	namespace pool.Namespace
	clock     *clocktest.Clock
	began     int64
	terms     terms
}

func newScene(t *testing.T, random *rand.Rand) scene {
	t.Helper()
	// A unit that divides nothing, so that rounding shows.
	unit := []time.Duration{time.Millisecond, 7_654_321 * time.Nanosecond, 100 * time.Millisecond}[random.IntN(3)]
	at := time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)
	l, err := layout.New(layout.Config{Epoch: at.Add(-1000 * time.Hour).Truncate(time.Hour), Unit: unit, NodeBits: 2, SequenceBits: 8})
	require.NoError(t, err)
	n := pool.NewNamespace(theName, l)
	n.Ranges = []pool.Range{{Last: random.Int64N(3)}}
	skew := time.Duration(random.IntN(3)) * unit * 4 / 3
	first := max(3*unit, 2*skew) + time.Duration(random.IntN(5))*unit
	window := first * time.Duration(1+random.IntN(6))
	n.Terms = pool.Terms{Skew: skew, FirstWindow: first, Window: window, Horizon: window * time.Duration(2+random.IntN(4)) / 2}
	c := clocktest.New(at)
	return scene{n, c, c.Now(), terms{
		epoch: l.Time(0).UnixNano(), unit: int64(unit),
		skew: int64(skew), first: int64(first), full: int64(n.Terms.Window), ahead: int64(n.Terms.Horizon),
	}}
}

// elapsed is the time that has passed, for a pool.
func (s scene) elapsed() time.Duration { return time.Duration(s.clock.Now() - s.began) }

// play is the recording of one history.
type play struct {
	*history
	t      *testing.T
	seed   uint64
	target target

	gate     sync.RWMutex // owns pool; held while it is exchanged
	pool     pool.Pool
	inflight sync.WaitGroup
	restarts atomic.Int64

	asked   atomic.Int64 // requests
	given   atomic.Int64 // requests that may still be given up
	restart map[int64]bool

	mu     sync.Mutex // owns leases
	leases []*holding
}

// holding is a lease that somebody has had.
type holding struct {
	grants []pool.Grant
	nonces []pool.Token
}

const (
	clients = 5
	each    = 30 // requests of a client
)

// record plays a history from a seed.
func record(t *testing.T, seed uint64, start func(scene) target) *history {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	s := newScene(t, random)
	p := &play{
		history: newHistory(s),
		t:       t, seed: seed, target: start(s), restart: make(map[int64]bool),
	}
	_, p.terms.shared = p.target.(sharer)
	p.given.Store(4)
	for range 1 + random.IntN(2) {
		p.restart[1+random.Int64N(clients*each)] = true
	}
	p.pool = p.target.start(t)
	var working sync.WaitGroup
	for i := range clients {
		working.Go(func() { p.client(i, rand.New(rand.NewPCG(seed, uint64(i+1)))) })
	}
	working.Wait()
	p.target.stop(t)
	return p.history
}

// client asks for this and that.
func (p *play) client(i int, random *rand.Rand) {
	var again any
	for range each {
		what := again
		if again = nil; what == nil {
			what = p.draw(random)
		}
		switch random.IntN(12) {
		case 0: // the request is lost: nothing happens
			again = what
		case 1: // the reply is lost: the client asks again
			p.ask(i, what, nil)
			again = what
		case 2: // the request is delivered twice, at about the same time
			var second sync.WaitGroup
			second.Go(func() { p.ask(i+clients, what, nil) })
			p.ask(i, what, nil)
			second.Wait()
		case 3: // the client gives up, and perhaps asks again
			var patience func()
			if yields := random.IntN(200); p.given.Add(-1) >= 0 {
				patience = func() {
					for range yields {
						runtime.Gosched()
					}
				}
			}
			p.ask(i, what, patience)
			if random.IntN(2) == 0 {
				again = what
			}
		default:
			p.ask(i, what, nil)
		}
		if random.IntN(3) == 0 {
			reach := p.terms.first
			if random.IntN(6) == 0 {
				reach = 2 * p.terms.full
			}
			p.pass(time.Duration(random.Int64N(reach / 2)))
		}
	}
}

// draw draws a request.
func (p *play) draw(random *rand.Rand) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := random.IntN(20)
	if kind < 6 || len(p.leases) == 0 {
		return acquisition{draw(random)}
	}
	recent := p.leases[max(0, len(p.leases)-6):]
	h := recent[random.IntN(len(recent))]
	g := h.grants[len(h.grants)-1]
	if random.IntN(5) == 0 { // a copy of the client, that was left behind
		g = h.grants[random.IntN(len(h.grants))]
	}
	if random.IntN(12) == 0 { // somebody else's
		g.Token = recent[random.IntN(len(recent))].grants[0].Token
	}
	switch {
	case kind < 7:
		return acquisition{g.Token}
	case kind < 16:
		nonce := draw(random)
		if len(h.nonces) > 0 && random.IntN(8) == 0 {
			nonce = h.nonces[len(h.nonces)-1]
		}
		h.nonces = append(h.nonces, nonce)
		return pool.Renewal{Namespace: theName, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: nonce}
	}
	last := g.From - 1 + random.Int64N(g.Until-g.From+1)
	if random.IntN(12) == 0 {
		last = g.Until + random.Int64N(10)
	}
	return pool.Release{Namespace: theName, Node: g.Node, Token: g.Token, Last: last}
}

// draw draws a token or a nonce.
func draw(random *rand.Rand) (t pool.Token) {
	binary.BigEndian.PutUint64(t[:8], random.Uint64())
	binary.BigEndian.PutUint64(t[8:], random.Uint64())
	return t
}

// learn keeps a grant for whoever renews.
func (p *play) learn(g pool.Grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.leases {
		if h.grants[0].Token == g.Token && h.grants[0].From == g.From && h.grants[0].Node == g.Node {
			h.grants = append(h.grants, g)
			return
		}
	}
	p.leases = append(p.leases, &holding{grants: []pool.Grant{g}})
}

// enter returns the pool that there is at the moment, until leave.
func (p *play) enter() (at pool.Pool, restarts int64) {
	p.gate.RLock()
	defer p.gate.RUnlock()
	p.inflight.Add(1)
	return p.pool, p.restarts.Load()
}

// ask makes one request and takes it down. The client gives it up when patience
// returns, if there is any.
func (p *play) ask(client int, what any, patience func()) {
	if p.restart[p.asked.Add(1)] {
		p.startAgain(client)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	at, restarts := p.enter()
	c := p.begin(client, what)
	if patience != nil {
		waiting.Go(func() { patience(); cancel() })
	}
	var g pool.Grant
	var err error
	success := granted
	switch what := what.(type) {
	case acquisition:
		g, err = at.Acquire(ctx, theName, p.namespace.Layout, what.token)
	case pool.Renewal:
		g, err = at.Renew(ctx, what)
	case pool.Release:
		success = done
		err = at.Release(ctx, what)
	}
	defer p.inflight.Done()
	r, known := replyOf(g, err, success)
	switch {
	case known:
		p.end(c, r)
		if r.verdict == granted {
			p.learn(g)
		}
	case errors.Is(err, pool.ErrClosed): // which is a promise that nothing was done
	case patience != nil || p.over(restarts):
		p.end(c, reply{verdict: unknown})
	default:
		p.t.Errorf("%s: %v", describe(c.request, reply{verdict: unknown}), err)
	}
}

// over reports whether a pool has ended, or is about to.
func (p *play) over(restarts int64) bool { return p.restarts.Load() != restarts }

// startAgain ends the pool in the midst of what it does, and starts it again.
func (p *play) startAgain(client int) {
	p.gate.Lock()
	defer p.gate.Unlock()
	c := p.begin(client, restart{})
	p.restarts.Add(1)
	p.target.stop(p.t)
	p.inflight.Wait() // as with the end of a process
	p.pool = p.target.start(p.t)
	p.end(c, reply{verdict: done})
}

// runs plays histories of a target, and judges them.
func runs(t *testing.T, start func(t *testing.T, s scene) target) {
	t.Helper()
	var seeds []uint64
	for i := range *historiesFlag - 1 {
		seeds = append(seeds, uint64(i+1))
	}
	seeds = append(seeds, 1e6+rand.Uint64N(1e9))
	if *seedFlag != 0 {
		seeds = []uint64{*seedFlag}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			h := record(t, seed, func(s scene) target { return start(t, s) })
			if f := h.judge(); f != nil {
				t.Errorf("%s\n%s  drawn in %s\n  again: go test ./property/linear -run '^%s$' -linear.seed %d -count 20",
					f.what, f.text, f.draw(t), mainTest(t), seed)
			}
		})
	}
}

// mainTest returns the name of the test that a subtest is of.
func mainTest(t *testing.T) string {
	t.Helper()
	name := t.Name()
	for i, c := range name {
		if c == '/' {
			return name[:i]
		}
	}
	return name
}

// draw draws what porcupine has found, into a file that outlives the test.
func (f *flaw) draw(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "linear-") //nolint:usetesting // to be looked at afterwards
	require.NoError(t, err)
	path := filepath.Join(dir, "history.html")
	require.NoError(t, porcupine.VisualizePath(f.by, f.info, path))
	return path
}
