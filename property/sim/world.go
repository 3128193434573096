package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// world is one run: its time, what is going to happen, and all that takes part.
type world struct {
	seed   uint64
	p      Params
	rng    *rand.Rand
	now    int64 // true time, Unix nanoseconds
	queue  events
	seq    uint64
	nextID int

	lock     sync.Mutex // owns arrivals
	arrivals []arrival

	count   Counters
	spare   [][]layout.ID // memory to be used again
	ghost   *ghost
	ids     *idSet
	trace   trace
	failure string

	engine   *engine
	servers  []*server
	machines []*machine
	backups  []map[string]*table // of the store
	floor    int64               // until when a restored store grants nothing, by the server's clock
	retirals int                 // how often an operator has wanted a node retired
	held     map[int64][]*call   // releases that come once more when their node is granted
	waiting  []*call             // renewals that come once more when the server has begun anew
	quiet    bool                // no faults are drawn
	changed  bool                // with A3 broken: the namespace has another layout now
	own      map[bool]*idSet
	latency  time.Duration // of the network, in the mean
}

// after plans an event.
func (w *world) after(d int64, host *process, do func()) {
	w.seq++
	w.queue.push(event{at: w.now + max(0, d), seq: w.seq, host: host, do: do})
}

// enough is after how many events the phase of faults ends early: where windows are
// so short, hours of them bring nothing new.
const enough = 40_000

// run lets happen what is planned, up to a moment.
func (w *world) run(until int64) {
	for w.failure == "" {
		w.settle()
		if len(w.queue) == 0 || w.queue[0].at > until {
			break
		}
		if !w.quiet && w.count.Events >= enough {
			return
		}
		e := w.queue.pop()
		w.advance(e.at)
		w.count.Events++
		switch {
		case e.host == nil:
			e.do()
		case e.host.dead:
		case e.host.stopped || e.host.inside != nil:
			e.host.late = append(e.host.late, e.do)
		default:
			e.host.turn(e.do)
		}
	}
	if w.failure == "" {
		w.advance(until)
	}
}

// advance lets the time pass, for timers as well.
func (w *world) advance(to int64) {
	if to > w.now {
		time.Sleep(time.Duration(to - w.now)) //nolint:forbidigo // the time of a synctest bubble
		w.now = to
	}
}

// settle waits until all goroutines are blocked, and takes note of where.
func (w *world) settle() {
	for {
		synctest.Wait()
		w.lock.Lock()
		came := w.arrivals
		w.arrivals = nil
		w.lock.Unlock()
		if len(came) == 0 {
			return
		}
		if len(came) > 1 {
			slices.SortStableFunc(came, func(a, b arrival) int {
				return cmp.Or(cmp.Compare(a.host.id, b.host.id), strings.Compare(a.key, b.key), cmp.Compare(a.number, b.number))
			})
		}
		for _, a := range came {
			a.do()
		}
	}
}

// newProcess makes a process with random numbers of its own.
func (w *world) newProcess(name string) *process {
	w.nextID++
	return &process{
		world: w, id: w.nextID, name: name,
		rng: rand.New(rand.NewPCG(w.seed, uint64(w.nextID))), //nolint:gosec // a seed must repeat
	}
}

// fail ends the run: a promise was broken.
func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		w.say("world", "FAILED: "+w.failure)
	}
}

// chance is true with a probability, in thousandths.
func chance(r *rand.Rand, permille int) bool { return r.IntN(1000) < permille }

// between returns a number between two, each order of magnitude as likely as the
// others.
func between(r *rand.Rand, low, high int64) int64 {
	for low < high/4 {
		if r.IntN(2) == 0 {
			return low + r.Int64N(low*3+1)
		}
		low *= 4
	}
	if low >= high {
		return high
	}
	return low + r.Int64N(high-low+1)
}

// pick returns one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
