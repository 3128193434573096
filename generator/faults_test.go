package generator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// Faults that were found in the code of other generators. Each test is named
// after the fault, and fails for a generator that has it.

// EasyFlake for Python left its lock before it had written the shared state: eight
// threads had 139,152 duplicates among 240,000 IDs.
func TestFaultLockReleasedBeforeTheStateIsWritten(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := layout.Default()
		c := clocktest.New(l.Epoch().Add(time.Hour))
		g := open(t, l, Static(1), WithClock(c), WithBackwardLimit(time.Hour))
		c.Run(time.Microsecond)
		noDuplicates(t, l, together(t, g, 8, changes(30_000)))
	})
}

// together makes n IDs in each of several goroutines.
func together(t *testing.T, g Generator, goroutines, n int) []layout.ID {
	t.Helper()
	all := make([]layout.ID, goroutines*n)
	var wg sync.WaitGroup
	for part := range slices.Chunk(all, n) {
		wg.Go(func() {
			for i := range part {
				id, err := g.Next()
				if err != nil {
					t.Error(err)
					return
				}
				part[i] = id
			}
		})
	}
	wg.Wait()
	return all
}

// EasyFlake and bwmarrin/snowflake begin the sequence anew when the clock shows
// another tick, an earlier one too: then the clock comes to the same tick twice.
func TestFaultClockStepBackRestartsTheSequence(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 40, 8, 6)
		c := clockAt(1000)
		g := open(t, l, Static(1), WithClock(c))
		c.Advance(time.Millisecond)
		var ids []layout.ID
		make5 := func() {
			for range 5 {
				id, err := g.Next()
				require.NoError(t, err)
				ids = append(ids, id)
			}
		}
		for range 4 {
			c.Advance(time.Millisecond)
			make5()
			c.StepBack(time.Millisecond)
			make5()
			c.Jump(time.Millisecond)
			make5() // the same tick for the second time
		}
		noDuplicates(t, l, ids)
	})
}

// godruoyi/go-snowflake and sno keep the time and the sequence in two words: who
// reads one before and one after a new tick issues a number again. Here almost
// every ID begins a tick.
func TestFaultTimeAndSequenceInTwoWords(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		crowd(t)
		for _, sequenceBits := range []int{1, 2} {
			l := small(t, 40, 8, sequenceBits)
			c := clockAt(1000)
			// Others' readings move the clock while one goroutine is stopped with
			// its own: by more than the usual limit, on a busy machine.
			g := open(t, l, Static(1), WithClock(c), WithBackwardLimit(time.Hour))
			c.Run(300 * time.Microsecond)
			noDuplicates(t, l, together(t, g, 8, changes(20_000)))
		}
	})
}

// counting is a clock that counts how often it is read.
type counting struct {
	*clocktest.Clock
	reads *atomic.Int64
}

func (c counting) Now() int64 {
	c.reads.Add(1)
	return c.Clock.Now()
}

// sonyflake sleeps with its mutex locked, for as long as the sequence is
// overdrawn; bwmarrin, godruoyi, CosId and Leaf spin there. Nobody else gets on
// meanwhile, not even to give up.
func TestFaultWaitingUnderTheLock(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 40, 8, 2)
		synctest.Test(t, func(t *testing.T) {
			c := counting{clockAt(1000), new(atomic.Int64)}
			g := open(t, l, Static(1), WithClock(c))
			c.Advance(time.Millisecond)
			mustNext(t, l, g)
			c.StepBack(900 * time.Millisecond)
			_, err := g.Fill(make([]layout.ID, 3)) // the rest of the tick
			require.NoError(t, err)
			var done atomic.Int32
			for range 4 {
				go func() {
					_, _ = g.Next()
					done.Add(1)
				}()
			}
			synctest.Wait()
			require.Zero(t, done.Load(), "the tick is not used up")
			reads := c.reads.Load()

			// All this has to be possible at once, while they wait.
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			_, err = g.NextContext(ctx)
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, int64(1001), g.LastTick())
			assert.Equal(t, uint64(4), g.Stats().Issued)
			require.Less(t, c.reads.Load()-reads, int64(10), "the clock is read in a loop")
			require.NoError(t, g.Close())
			synctest.Wait()
			require.Equal(t, int32(4), done.Load())
		})
	})
}

// yitter/IdGenerator can be given a sequence longer than the bits of its field:
// what does not fit becomes another node's number.
func TestFaultSequenceRunsIntoTheNode(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, order := range []layout.Order{layout.TimeNodeSequence, layout.TimeSequenceNode} {
			for _, sequenceBits := range []int{0, 1, 5, 10} {
				l, err := layout.New(layout.Config{
					Epoch: time.Unix(0, 0), Unit: time.Millisecond, NodeBits: 2, SequenceBits: sequenceBits, Order: order,
				})
				require.NoError(t, err)
				var all []layout.ID
				for node := range int64(4) {
					c := clockAt(1000)
					g := open(t, l, Static(node), WithClock(c), WithOverflow(Fail()))
					c.Advance(time.Millisecond)
					for range 3 { // ticks, each to its very end
						dst := make([]layout.ID, l.MaxSequence()+2)
						n, err := g.Fill(dst)
						require.ErrorIs(t, err, ErrExhausted)
						require.Equal(t, int(l.MaxSequence())+1, n)
						all = append(all, dst[:n]...)
						c.Advance(time.Millisecond)
					}
				}
				noDuplicates(t, l, all)
			}
		}
	})
}

// The owner of an expired lease in EasyFlake's file pool keeps its number, and a
// guard of CosId that fails is only logged: both go on making IDs with a node that
// is another's by now.
func TestFaultGoingOnAfterTheLeaseHasExpired(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 40, 8, 10)
		c := clockAt(1000)
		src := newLease(layout.Window{Node: 7, From: 1000, Until: 1010})
		g := open(t, l, src, WithClock(c), WithOverflow(Borrow(time.Second)))
		var last int64
		for range 5000 {
			id, err := g.Next()
			if err != nil {
				require.ErrorIs(t, err, ErrNoLease)
				break
			}
			last = int64(id) >> l.TimeShift()
			require.Less(t, last, int64(1010))
			c.Advance(10 * time.Microsecond)
		}
		c.Jump(time.Hour) // a long pause of the process
		for range 10 {
			id, err := g.Next()
			require.ErrorIs(t, err, ErrNoLease, "%d", id)
		}
		assert.GreaterOrEqual(t, last, int64(1000))
		assert.Less(t, src.seal(), int64(1010))
	})
}

// EasyFlake, bwmarrin and CosId do not notice the end of their layout: the time
// runs into the sign, and IDs become negative, or into nothing, and they repeat.
func TestFaultTimeFieldOverflows(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, bits := range [][3]int{{6, 3, 4}, {10, 40, 13}, {8, 30, 25}} { // the last two use all 63 bits
			t.Run(fmt.Sprint(bits), func(t *testing.T) {
				l := small(t, bits[0], bits[1], bits[2])
				c := clockAt(1)
				g := open(t, l, Static(l.MaxNode()), WithClock(c))
				var all []layout.ID
				var refused int
				for range 4 << bits[0] {
					c.Advance(time.Millisecond)
					id, err := g.Next()
					if err != nil {
						require.ErrorIs(t, err, layout.ErrPastEnd)
						refused++
						continue
					}
					require.Zero(t, refused, "%d after the end", id)
					require.GreaterOrEqual(t, id, layout.ID(0))
					all = append(all, id)
				}
				require.Positive(t, refused)
				require.Equal(t, l.MaxTick(), int64(all[len(all)-1])>>l.TimeShift())
				noDuplicates(t, l, all)
			})
		}
	})
}
