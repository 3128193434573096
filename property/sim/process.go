package sim

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// process is what is stopped, killed and started as one: a client or a server.
//
// Its goroutines run one at a time: the world wakes one, and looks on when all are
// blocked again. What a goroutine starts on its way may run beside it, but only up
// to its first call of the world, where it parks without having drawn or changed
// anything that others see.
type process struct {
	*world
	id      int
	name    string
	rng     *rand.Rand
	dead    bool
	stopped bool
	stops   int      // how often it was stopped, or made to go on
	late    []func() // events that wait for it to go on
	parked  []*parked
	inside  *parked                      // the goroutine that was stopped while it read the clock
	kind    activity                     // of the goroutine woken last
	old     int64                        // what its clock showed before it was stopped in its turn
	oldBack int                          // how often that had been set back
	olds    atomic.Int32                 // how many readings are to be that
	drawn   int32                        // how many were, when it went on
	read    func() (now int64, back int) // reads its clock, and how often that was set back; nil: it is never stopped in its turn
	ending  func()                       // ends what does not end by itself when the process is killed
}

// activity is what a goroutine is doing.
type activity uint8

const (
	keeping activity = iota // the lease's own work, or a server's
	making                  // of IDs, outside of all locks
)

// parked is a goroutine that waits for the world.
type parked struct {
	host *process
	kind activity
	wake chan struct{}
	over bool
}

// arrival is a goroutine that has come to a call of the world.
type arrival struct {
	host   *process
	key    string
	number int64 // keys of one process and one moment differ in one of the two
	do     func()
}

// errDead is what the dead get from all their calls, so that they unwind.
var errDead = errors.New("sim: this process was killed")

// park blocks the goroutine until the world resumes it, which arrive plans to. It
// returns errDead in a process that has been killed.
func (p *process) park(key string, number int64, arrive func(*parked)) error {
	k := &parked{host: p, kind: p.kind, wake: make(chan struct{})}
	p.arrive(key, number, func() {
		p.parked = append(p.parked, k)
		if p.dead {
			p.after(0, nil, k.resume)
			return
		}
		arrive(k)
	})
	<-k.wake
	if p.dead {
		return errDead
	}
	return nil
}

// arrive has the world do something when all goroutines are blocked.
func (p *process) arrive(key string, number int64, do func()) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.arrivals = append(p.arrivals, arrival{p, key, number, do})
}

// resume wakes a goroutine, once.
func (k *parked) resume() {
	if k.over {
		return
	}
	k.over = true
	p := k.host
	p.parked = slices.DeleteFunc(p.parked, func(x *parked) bool { return x == k })
	p.kind = k.kind
	k.wake <- struct{}{}
}

// spawn starts a goroutine of the process.
func (p *process) spawn(kind activity, do func()) {
	p.kind = kind
	go do()
}

// turn lets happen what happens to a process; or it stops the process in the middle
// of that, after some readings of its clock and before what is done with them,
// whatever lock it holds. What it does before the first reading it would have done
// before the stop. Here all of it happens when the process goes on, with the first
// readings being old ones. Nobody can tell the difference: the process did nothing
// else meanwhile, and what it sends comes late.
func (p *process) turn(do func()) {
	if p.olds.Swap(0) < p.drawn {
		p.count.StopsInTurn++ // and not where it never read its clock
	}
	p.drawn = 0
	if p.read == nil || p.quiet || !chance(p.rng, p.p.StopInTurn) {
		do()
		return
	}
	old, back := p.read()
	olds := 1 + p.rng.Int32N(3)
	p.stop(between(p.rng, int64(p.unit()), 2*int64(p.p.Terms.Horizon)))
	p.late = append(p.late, func() {
		p.old, p.oldBack, p.drawn = old, back, olds
		p.olds.Store(olds)
		do()
	})
}

// stop keeps the whole process from doing anything for a while: everything that
// happens to it meanwhile happens when it goes on.
func (p *process) stop(d int64) {
	if p.dead || p.stopped {
		return
	}
	p.say(p.name, "stopped for %d ns", d)
	p.stopped = true
	p.stops++
	stop := p.stops
	p.after(d, nil, func() {
		if p.stops == stop {
			p.goOn()
		}
	})
}

func (p *process) goOn() {
	if !p.stopped {
		return
	}
	p.stopped = false
	p.stops++
	p.say(p.name, "goes on")
	p.after(0, nil, func() {
		if p.stopped || p.dead {
			return
		}
		late := p.late
		p.late = nil
		if k := p.inside; k != nil {
			p.inside = nil
			k.resume()
		}
		for _, do := range late {
			p.after(0, p, do)
		}
	})
}

// kill ends a process at once. Its goroutines find all calls failing, and end.
func (p *process) kill() {
	p.dead, p.stopped, p.inside, p.late = true, false, nil, nil
	p.stops++
	for _, k := range p.parked {
		p.after(0, nil, k.resume)
	}
	if p.ending != nil {
		p.after(0, nil, p.ending)
	}
}

// pause stops the whole process from within: whoever read the clock goes on with an
// old reading. No goroutine of the process runs before this one does.
func (p *process) pause(d int64) {
	_ = p.park("pause", 0, func(k *parked) {
		p.inside = k
		p.stop(d)
	})
}
