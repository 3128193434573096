package legacy

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/pool"
)

func TestNumberIsSentAndRepeatedAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 4)
		c := s.dial(s.house, "10.0.0.1")
		assert.Len(t, c.got(), 1, "at once")
		for _, pause := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
			before := len(c.got())
			s.pass(pause - 1)
			assert.Len(t, c.got(), before, "less than %v later", pause)
			s.pass(1)
			assert.Len(t, c.got(), before+1, "%v later", pause)
		}
		assert.GreaterOrEqual(t, c.number(), int64(252))
		assert.LessOrEqual(t, c.number(), int64(255))
		c.hangUp()
	})
}

func TestStreamKeepsItsNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, false, 1)
		c := s.dial(s.house, "10.0.0.1")
		for range 100 { // beside which others ask all the time
			s.pass(5 * time.Second)
			_, err := s.local.AcquireLegacy(t.Context(), theNamespace, pool.NewToken())
			var e *pool.ExhaustedError
			require.ErrorAs(t, err, &e)
			require.True(t, c.open())
		}
		c.number()
		renewals, _ := s.faulty.count()
		assert.Greater(t, renewals, 500/25, "each lasts a minute at most, of which a third passes")
		assert.Less(t, renewals, 500/15)
		c.hangUp()
	})
}

func TestNumberRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, lived := range []time.Duration{0, 3 * time.Second, time.Minute, 319 * time.Second} {
			s := newSite(t, false, 1)
			c := s.dial(s.house, "10.0.0.1")
			number := c.number()
			s.pass(lived)
			c.hangUp()
			assert.False(t, c.open())
			rested := time.Duration(0)
			for {
				g, err := s.local.AcquireLegacy(t.Context(), theNamespace, pool.NewToken())
				if err == nil {
					assert.Equal(t, number, g.Node)
					break
				}
				s.pass(time.Second)
				rested += time.Second
			}
			assert.GreaterOrEqual(t, rested, DefaultRest, "after %v", lived)
			assert.LessOrEqual(t, rested, s.ns.Terms.Window)
		}
	})
}

func TestNumberRestsAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, exclusive := range []bool{false, true} {
			s := newSite(t, exclusive, 2)
			a := s.dial(s.house, "10.0.0.1")
			s.pass(time.Minute)
			s.server.Drain(t.Context())
			assert.Equal(t, codes.Unavailable, a.code())

			s.house = s.serve()
			b := s.dial(s.house, "10.0.0.1")
			assert.NotEqual(t, a.number(), b.number())
			c := s.dial(s.house, "10.0.0.1")
			s.pass(hold)
			assert.Equal(t, codes.OutOfRange, c.code(), "the first one's number rests")
			s.pass(s.ns.Terms.Horizon)
			assert.Equal(t, a.number(), s.dial(s.house, "10.0.0.1").number())
			s.server.Drain(t.Context())
		}
	})
}

func TestTwoServersOfOneStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, false, 4)
		second := s.serve()
		has := make(map[int64]bool)
		var calls []*call
		for i := range 4 {
			h := s.house
			if i%2 == 1 {
				h = second
			}
			c := s.dial(h, "10.0.0.1")
			has[c.number()] = true
			calls = append(calls, c)
		}
		assert.Len(t, has, 4)
		for range 20 { // as long as all are kept, none is to be had anywhere
			for _, h := range []*house{s.house, second} {
				c := s.dial(h, "10.0.0.2")
				s.pass(hold)
				assert.Equal(t, codes.OutOfRange, c.code())
				assert.Empty(t, c.got())
			}
			s.pass(10 * time.Second)
		}
		// One that leaves at one server is had at the other when it has rested.
		calls[0].hangUp()
		s.pass(s.ns.Terms.Window)
		assert.Equal(t, calls[0].number(), s.dial(second, "10.0.0.3").number())
		for _, c := range calls[1:] {
			assert.True(t, c.open())
		}
		s.server.Drain(t.Context())
		second.server.Drain(t.Context())
	})
}

func TestNoneFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 1)
		first := s.dial(s.house, "10.0.0.1")
		c := s.dial(s.house, "10.0.0.2")
		assert.Equal(t, Stats{Lending: 1, Waiting: 1}, s.server.Stats())
		s.pass(hold - 1)
		assert.True(t, c.open(), "who would ask again at once is kept for a while")
		s.pass(1)
		assert.Equal(t, codes.OutOfRange, c.code())
		assert.Equal(t, Stats{Lending: 1}, s.server.Stats())
		err := <-c.ended
		require.ErrorContains(t, err, "the only legacy node")
		details := status.Convert(err).Details()
		require.Len(t, details, 1)
		retry, ok := details[0].(*errdetails.RetryInfo)
		require.True(t, ok)
		assert.Positive(t, retry.GetRetryDelay().AsDuration())

		// A number that becomes free meanwhile is had at the end of the wait.
		first.hangUp()
		s.pass(10*time.Second - hold - time.Second)
		c = s.dial(s.house, "10.0.0.2")
		assert.Empty(t, c.got())
		s.pass(hold)
		assert.Equal(t, first.number(), c.number())
		c.hangUp()
	})
}

func TestBeforeAFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 2)
		first := s.dial(s.house, "10.0.0.1")
		require.NoError(t, s.local.Doubt(t.Context()))
		s.pass(4 * time.Second)
		assert.Equal(t, codes.Canceled, first.code(), "its window does not count any more")
		c := s.dial(s.house, "10.0.0.1")
		s.pass(hold)
		assert.Equal(t, codes.OutOfRange, c.code(), "so that Python asks again")
	})
}

func TestThePoolFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 2)
		s.faulty.set(errors.New("secret of the disk"), false)
		c := s.dial(s.house, "10.0.0.1")
		s.pass(hold - 1)
		assert.True(t, c.open(), "paced too")
		s.pass(1)
		assert.Equal(t, codes.Unavailable, c.code())
		assert.NotContains(t, (<-c.ended).Error(), "secret")

		// What comes back within the wait is no failure.
		c = s.dial(s.house, "10.0.0.1")
		s.faulty.set(nil, false)
		s.pass(hold)
		c.number()
		c.hangUp()
	})
}

func TestAReplyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 1)
		s.faulty.lose = true
		c := s.dial(s.house, "10.0.0.1")
		assert.Empty(t, c.got())
		s.pass(hold)
		c.number() // there is only this one: it was its own
		c.hangUp()
	})
}

func TestRenewalsFailForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 1)
		c := s.dial(s.house, "10.0.0.1")
		s.pass(time.Minute)
		s.faulty.set(errors.New("no disk"), false)
		s.pass(30 * time.Second)
		require.True(t, c.open(), "the window is not over")
		s.faulty.set(nil, false)
		s.pass(5 * time.Minute)
		require.True(t, c.open())
		c.number()
		c.hangUp()
	})
}

func TestRenewalsFailForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, hang := range []bool{false, true} {
			s := newSite(t, false, 1)
			c := s.dial(s.house, "10.0.0.1")
			s.pass(time.Minute)
			s.faulty.set(errors.New("no disk"), hang)
			until := time.Time{}
			for n, err := range s.local.List(t.Context(), theNamespace) {
				require.NoError(t, err)
				until = s.ns.Layout.Time(n.Until)
			}
			for c.open() {
				s.pass(100 * time.Millisecond)
				if hang {
					time.Sleep(100 * time.Millisecond) // a request is bounded by the bubble's own time
				}
				require.Less(t, s.clock.Time(), until, "the stream goes on after its window")
			}
			assert.Equal(t, codes.Unavailable, c.code())
			left := until.Sub(s.clock.Time())
			assert.GreaterOrEqual(t, left, DefaultRest-200*time.Millisecond, "the number rests all the same")
			assert.LessOrEqual(t, left, DefaultRest+2*time.Second, "and is not given up early")
		}
	})
}

func TestRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 1)
		c := s.dial(s.house, "10.0.0.1")
		require.NoError(t, s.local.Revoke(t.Context(), theNamespace, c.number()))
		s.pass(4 * time.Second)
		assert.Equal(t, codes.Canceled, c.code(), "by which Python drops the number, and asks for another")
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 2)
		has := s.dial(s.house, "10.0.0.1")
		stuck := s.dial(s.house, "10.0.0.1")
		stuck.stop()
		s.pass(3 * time.Second) // a reply is on its way to nobody
		waits := s.dial(s.house, "10.0.0.1")
		s.faulty.set(nil, true)
		asks := s.dial(s.house, "10.0.0.1")
		s.server.Drain(t.Context())
		for _, c := range []*call{has, stuck, waits, asks} {
			assert.Equal(t, codes.Unavailable, c.code())
		}
		assert.Zero(t, s.server.Stats())
		late := s.dial(s.house, "10.0.0.1")
		assert.Equal(t, codes.Unavailable, late.code())
		s.server.Drain(t.Context())
	})
}

func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 1)
		c := s.dial(s.house, "10.0.0.1")
		c.cancel = func() {}
		s.server.work.Add(1) // a stream that does not end
		defer s.server.work.Done()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.server.Drain(ctx)
		assert.Equal(t, codes.Unavailable, c.code())
	})
}

func TestReaderStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 2)
		c := s.dial(s.house, "10.0.0.1")
		other := s.dial(s.house, "10.0.0.2")
		release := c.stop()
		s.pass(2*time.Second + stall - 1)
		assert.True(t, c.open())
		assert.Len(t, c.got(), 1)
		release()
		assert.Len(t, c.got(), 2, "one reply was on its way, not more")
		s.pass(time.Minute)
		assert.True(t, c.open(), "a slow reader is none that has stalled")

		c.stop()
		s.pass(lastPause + stall)
		assert.Equal(t, codes.Canceled, c.code())
		assert.True(t, other.open())
		assert.Greater(t, len(other.got()), 4)
		other.hangUp()
	})
}

func TestStalledReaderKeepsItsNumberSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, false, 1)
		c := s.dial(s.house, "10.0.0.1")
		c.stop()
		for c.open() {
			s.pass(time.Second)
			_, err := s.local.AcquireLegacy(t.Context(), theNamespace, pool.NewToken())
			require.Error(t, err)
		}
		renewals, _ := s.faulty.count()
		assert.Greater(t, renewals, 1)
	})
}

func TestWrongBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 1)
		for _, bits := range []int32{0, 7, 9, 10, 63, 64, -1, -8, math.MaxInt32, math.MinInt32, 8 + 256} {
			c := s.dialFor(s.house, "10.0.0.1", bits)
			assert.Equal(t, codes.InvalidArgument, c.code(), "%d bits", bits)
			require.ErrorContains(t, <-c.ended, "set node_id_bits to 8")
		}
		_, asked := s.faulty.count()
		assert.Zero(t, asked, "the pool is not asked")
		s.dial(s.house, "10.0.0.1").hangUp()
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 4)
		s.house = s.serve(WithLimits(Limits{Streams: 3, PerPeer: 2}))
		a, b := s.dial(s.house, "10.0.0.1"), s.dial(s.house, "10.0.0.1")
		third := s.dial(s.house, "10.0.0.1")
		assert.Equal(t, codes.ResourceExhausted, third.code())
		require.ErrorContains(t, <-third.ended, "from this address")
		c := s.dial(s.house, "::1")
		c.number()
		fourth := s.dial(s.house, "10.0.0.4")
		assert.Equal(t, codes.ResourceExhausted, fourth.code())
		a.hangUp()
		s.dial(s.house, "10.0.0.4").hangUp()
		d := s.dial(s.house, "10.0.0.1")
		for _, c := range []*call{b, c, d} {
			assert.True(t, c.open())
			c.hangUp()
		}
		assert.Empty(t, s.server.peers, "what is gone is forgotten")
		assert.Zero(t, s.server.Stats())
	})
}

func TestAskingInALoopIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, false, 1)
		first := s.dial(s.house, "10.0.0.1")
		_, before := s.faulty.count()
		for begun, loops := s.clock.Time(), 0; s.clock.Time().Sub(begun) < 20*time.Second; loops++ {
			c := s.dial(s.house, "10.0.0.2")
			for c.open() {
				s.pass(100 * time.Millisecond)
			}
			require.Less(t, loops, 11)
		}
		_, after := s.faulty.count()
		assert.LessOrEqual(t, after-before, 2*11)
		first.hangUp()
	})
}

func TestAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, 1)
		s.house = s.serve(WithAllow(func(context.Context) error { return status.Error(codes.PermissionDenied, "not here") }))
		c := s.dial(s.house, "10.0.0.1")
		assert.Equal(t, codes.PermissionDenied, c.code())
		assert.Empty(t, s.server.peers)
	})
}
