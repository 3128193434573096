package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// Params are what a run's world is like. All of them are drawn from its seed.
type Params struct {
	Break     Assumption // one that is broken on purpose
	Layout    string
	Ending    bool // the layout's life ends during the run
	Terms     pool.Terms
	Nodes     int64 // that are leased: those from 0 on
	Hands     int64 // numbered by hand: those from Nodes on
	Clients   int
	Servers   int
	Exclusive bool          // the store, which then has one server at a time
	OwnClock  bool          // the store's, which all servers go by
	Start     time.Time     // of true time
	Faults    time.Duration // how long the phase of faults is
	Every     time.Duration // between two faults, in the mean
	Restores  int           // how often the store is set back, at most
	Burst     time.Duration // between two bursts of IDs of a client, in the mean
	Big       int           // how many IDs a big fill asks for

	// In thousandths:
	Loss         int // messages lost
	Repeat       int // requests that come twice
	Tardy        int // messages that are very late
	SlowStore    int // calls of the store that take time
	StoreTrouble int // writes that fail or crash their server
	HeldBack     int // releases that come once more when the node is granted again, and renewals after a restart
	Brief        int // clients that make one ID and close
	StopInNow    int // readings of the clock after which the process is stopped
	StopInTurn   int // events of a client in the middle of which it is stopped
	PreemptInNow int // readings after which another goroutine has its turn
	OddServers   int // of the servers' clocks set wrong, those that freeze, run at another rate, or jump by years

	Latency time.Duration // of the network, in the mean
	layout  layout.Layout
	second  layout.Layout // with A3 broken
}

// Assumption is one of those that the guarantee is made under.
type Assumption uint8

const (
	// Nothing is broken: no two IDs may be equal.
	Nothing Assumption = iota
	// LostWrites (A1): the store forgets what it has acknowledged, and nobody
	// knows.
	LostWrites
	// Copies (A2): clients are copied while they run, and the copies make IDs.
	Copies
	// TwoLayouts (A3): somebody writes another layout into the namespace's
	// record, and some clients that start after that go by it.
	TwoLayouts
	// TwoSources (A4): a node numbered by hand is numbered so twice, or leased.
	TwoSources
	// EarlyClocks (A5): processes on such nodes start though their clocks are not
	// past every tick stamped before.
	EarlyClocks
)

// String returns "A1 broken" to "A5 broken", or that none is.
func (a Assumption) String() string {
	if a == Nothing {
		return "no assumption broken"
	}
	return fmt.Sprintf("A%d broken", uint8(a))
}

func (p *Params) broken() bool { return p.Break != Nothing }

// maxRun is longer than any run.
const maxRun = 24 * time.Hour

func drawParams(r *rand.Rand, broken Assumption) Params {
	p := Params{Break: broken}
	p.Start = time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(int64(50*365*24*time.Hour))) + time.Duration(r.IntN(1e9)))
	if chance(r, 500) {
		p.Start = p.Start.Truncate(time.Second)
	}
	c := layout.DefaultConfig()
	c.Unit = pick(r, time.Millisecond, time.Millisecond, time.Millisecond, 100*time.Microsecond, 4*time.Millisecond, 10*time.Millisecond, time.Second)
	c.NodeBits = pick(r, 1, 2, 3, 4, 8)
	c.SequenceBits = pick(r, 0, 1, 2, 4, 8, 8, 12, 16, 18)
	c.Epoch = p.Start.Add(-time.Duration(r.Int64N(int64(100 * 24 * time.Hour))))
	for life := int64(0); life < 4*365*24*60*60; c.SequenceBits-- { // a namespace needs some years to live
		bits := min(62, 63-c.NodeBits-c.SequenceBits)
		life = int64(float64(int64(1)<<bits) * c.Unit.Seconds())
	}
	c.SequenceBits = max(0, c.SequenceBits+1)
	if broken == TwoLayouts {
		c.SequenceBits = max(1, c.SequenceBits)
	} else if chance(r, 200) {
		c.Order = layout.TimeSequenceNode
	}
	l, err := layout.New(c)
	if err != nil {
		panic(fmt.Sprintf("sim: drew a layout that is none: %v", err))
	}
	p.Ending = chance(r, 40)
	if p.Ending { // with a few bits for the time, of which the last ticks come during the run
		for c.TimeBits = l.TimeBits(); float64(int64(1)<<(c.TimeBits-1))*c.Unit.Seconds() > 4*365*24*60*60; c.TimeBits-- {
		}
		c.Epoch = p.Start.Add(2*time.Minute + time.Duration(r.Int64N(int64(10*time.Minute))) - time.Duration(int64(1)<<c.TimeBits)*c.Unit)
		if l, err = layout.New(c); err != nil {
			panic(fmt.Sprintf("sim: drew a layout that is none: %v", err))
		}
	}
	p.layout, p.Layout = l, l.String()
	if broken == TwoLayouts { // the same ticks, and one bit of the sequence is the node's
		c.TimeBits = l.TimeBits()
		c.NodeBits++
		c.SequenceBits--
		if p.second, err = layout.New(c); err != nil {
			panic(fmt.Sprintf("sim: drew a layout that is none: %v", err))
		}
	}

	p.Terms = pool.DefaultTerms(l)
	unit := l.Unit()
	if chance(r, 600) {
		skew := pick(r, 0, unit, 20*time.Millisecond, 200*time.Millisecond, time.Second)
		first := max(2*skew, 3*unit, pick(r, 30*time.Millisecond, 300*time.Millisecond, time.Second, 5*time.Second))
		window := first * time.Duration(1+r.IntN(8))
		p.Terms = pool.Terms{Skew: skew, FirstWindow: first, Window: window, Horizon: window * time.Duration(1+r.IntN(3))}
	}
	p.Clients = 1 + r.IntN(7)
	p.Nodes = min(l.MaxNode()+1, int64(1+r.IntN(p.Clients+2)))
	if broken == TwoSources || broken == EarlyClocks {
		p.Nodes = min(p.Nodes, l.MaxNode())
		p.Hands = min(2, l.MaxNode()+1-p.Nodes)
	} else {
		p.Hands = min(pick(r, int64(0), 0, 1, 2), l.MaxNode()+1-p.Nodes)
	}
	p.Exclusive = chance(r, 450)
	p.Servers = 1
	if !p.Exclusive {
		p.Servers = 1 + r.IntN(3)
		p.OwnClock = chance(r, 400)
	}
	p.Faults = min(max(30*p.Terms.Window, time.Minute), 20*time.Minute)
	p.Restores = pick(r, 0, 0, 0, 1, 4)
	if broken == LostWrites {
		p.Restores = 8
	}
	p.Every = p.Faults / time.Duration(5+r.IntN(60))
	p.Burst = max(p.Faults/time.Duration(100+r.IntN(300)), p.Terms.Window/20)
	p.Big = pick(r, 0, 300, 3000, 30_000, 300_000)
	p.Loss = pick(r, 0, 10, 50, 200)
	p.Repeat = pick(r, 0, 10, 100)
	p.Tardy = pick(r, 0, 10, 50)
	p.SlowStore = pick(r, 0, 100, 500, 1000)
	p.StoreTrouble = pick(r, 0, 5, 30)
	p.HeldBack = pick(r, 0, 100, 500)
	p.Brief = pick(r, 0, 0, 100, 400)
	p.StopInNow = pick(r, 0, 0, 2, 10)
	p.StopInTurn = pick(r, 0, 0, 2, 10)
	p.PreemptInNow = pick(r, 0, 2, 10, 30)
	p.Latency = pick(r, 100*time.Microsecond, time.Millisecond, 20*time.Millisecond, 300*time.Millisecond)
	return p
}

// add draws what the simulation has learned later, from numbers of its own and for some
// seeds only: the others mean what they meant before.
func (p *Params) add(r *rand.Rand) {
	p.OddServers = pick(r, 0, 0, 0, 200, 600)
}

// String returns the parameters, one group a line.
func (p Params) String() string {
	store := "shared"
	if p.Exclusive {
		store = "exclusive"
	}
	return fmt.Sprintf("layout %s\nterms %+v, %d nodes and %d by hand, %d clients, %d servers, %s store, own clock %t, %v\nfrom %s for %v: a fault every %v, a burst every %v, big fills of %d\nper thousand: loss %d, repeat %d, tardy %d, slow store %d, store trouble %d, held back %d, brief %d, stops in Now %d and in a turn %d, preemptions in Now %d, odd servers %d; latency %v",
		p.Layout, p.Terms, p.Nodes, p.Hands, p.Clients, p.Servers, store, p.OwnClock, p.Break,
		p.Start.Format(time.RFC3339Nano), p.Faults, p.Every, p.Burst, p.Big,
		p.Loss, p.Repeat, p.Tardy, p.SlowStore, p.StoreTrouble, p.HeldBack, p.Brief, p.StopInNow, p.StopInTurn, p.PreemptInNow, p.OddServers, p.Latency)
}
