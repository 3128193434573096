package access

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var someone = Identity{Name: "billing", By: Bearer}

func tok(n uint64) (t [16]byte) {
	binary.BigEndian.PutUint64(t[8:], n*0x9e3779b97f4a7c15)
	return t
}

func TestLedger(t *testing.T) {
	l := NewLedger()
	reserve := func(n uint64, limit int, now int64) (*Reservation, error) {
		return l.Reserve(someone, "orders", tok(n), limit, now)
	}
	a, err := reserve(1, 2, 0)
	require.NoError(t, err)
	b, err := reserve(2, 2, 0)
	require.NoError(t, err)

	_, err = reserve(3, 2, 0)
	quota, ok := errors.AsType[*QuotaError](err)
	require.True(t, ok, "what is only asked for counts: %v", err)
	assert.Equal(t, QuotaError{"billing", "orders", 2, pendingRetry}, *quota)

	b.Cancel()
	a.Confirm(100)
	a.Cancel() // deferred
	assert.Equal(t, 1, l.Live(someone, "orders", 0))
	again, err := reserve(1, 1, 10)
	require.NoError(t, err, "the same lease, asked for again, with a smaller quota by now")
	again.Cancel()
	assert.Equal(t, 1, l.Live(someone, "orders", 10), "the lease is there still")

	b, err = reserve(2, 2, 10)
	require.NoError(t, err)
	b.Confirm(80)
	_, err = reserve(3, 2, 20)
	quota, _ = errors.AsType[*QuotaError](err)
	assert.Equal(t, time.Duration(60), quota.RetryAfter)
	l.Renewed(someone, "orders", tok(2), 300, 30)
	l.Renewed(someone, "orders", tok(2), 200, 30) // late
	_, err = reserve(3, 2, 40)
	quota, _ = errors.AsType[*QuotaError](err)
	assert.Equal(t, time.Duration(60), quota.RetryAfter, "now the other's")

	l.Renewed(someone, "orders", tok(4), 150, 40)
	assert.Equal(t, 3, l.Live(someone, "orders", 40), "not known, and not refused")
	assert.Equal(t, 2, l.Live(someone, "orders", 100), "the window is half-open")
	l.Released(someone, "orders", tok(2), 100)
	l.Released(someone, "orders", tok(9), 100)
	l.Released(someone, "others", tok(2), 100)
	assert.Equal(t, 1, l.Live(someone, "orders", 100))
	c, err := reserve(3, 2, 100)
	require.NoError(t, err)
	defer c.Cancel()

	_, err = l.Reserve(someone, "others", tok(3), 1, 100)
	require.NoError(t, err, "another namespace")
	_, err = l.Reserve(Identity{Name: "ops"}, "orders", tok(3), 1, 100)
	require.NoError(t, err, "another identity")
	_, err = l.Reserve(Identity{Name: "billing", By: Certificate}, "orders", tok(5), 2, 100)
	require.Error(t, err, "the same identity, by its certificate")
	_, err = reserve(5, 0, 100)
	require.NoError(t, err, "no limit")
}

// slow is a ledger that looks at everything each time.
type slow map[[16]byte]entry

func (s slow) live(now int64) (n int, earliest int64) {
	earliest = never
	for _, e := range s {
		if e.counts(now) {
			n++
			if e.until > now {
				earliest = min(earliest, e.until)
			}
		}
	}
	return n, earliest
}

func TestLedgerAgainstSlow(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 4))
		l, s := NewLedger(), slow{}
		type open struct {
			*Reservation
			token [16]byte
		}
		var pending []open
		now := int64(0)
		for range 400 {
			now += r.Int64N(8)
			token, limit := tok(r.Uint64N(24)), r.IntN(12)
			before, earliest := s.live(now)
			e := s[token]
			switch r.IntN(6) {
			case 0, 1:
				res, err := l.Reserve(someone, "orders", token, limit, now)
				refused := limit > 0 && !e.counts(now) && before >= limit
				require.Equal(t, refused, err != nil, "seed %d: %v", seed, err)
				if refused {
					quota, _ := errors.AsType[*QuotaError](err)
					want := pendingRetry
					if earliest != never {
						want = time.Duration(earliest - now)
					}
					require.Equal(t, want, quota.RetryAfter, "seed %d", seed)
					continue
				}
				if !e.counts(now) {
					e = entry{}
				}
				e.pending++
				s[token] = e
				pending = append(pending, open{res, token})
			case 2, 3:
				if len(pending) == 0 {
					continue
				}
				i := r.IntN(len(pending))
				p := pending[i]
				pending = append(pending[:i], pending[i+1:]...)
				e := s[p.token]
				e.pending--
				if r.IntN(2) == 0 {
					until := now + r.Int64N(60)
					e.until = max(e.until, until)
					p.Confirm(until)
				}
				p.Cancel()
				s[p.token] = e
			case 4:
				until := now + r.Int64N(60)
				l.Renewed(someone, "orders", token, until, now)
				e.until = max(e.until, until)
				s[token] = e
			case 5:
				l.Released(someone, "orders", token, now)
				e.until = 0
				s[token] = e
			}
			if r.IntN(4) == 0 {
				want, _ := s.live(now)
				require.Equal(t, want, l.Live(someone, "orders", now), "seed %d", seed)
			}
		}
		for _, p := range pending {
			p.Cancel()
		}
		assert.Zero(t, l.Live(someone, "orders", now+1000), "seed %d", seed)
		assert.Zero(t, l.held, "seed %d", seed)
	}
}

// TestNobodyOvershoots lets many ask at once, each for more than there is.
func TestNobodyOvershoots(t *testing.T) {
	const limit = 10
	l := NewLedger()
	var live, most atomic.Int64
	var group sync.WaitGroup
	for g := range uint64(8) {
		group.Go(func() {
			for i := range uint64(500) {
				token := tok(g<<32 | i)
				r, err := l.Reserve(someone, "orders", token, limit, 0)
				if err != nil {
					continue
				}
				n := live.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				runtime.Gosched()
				switch i % 3 {
				case 0:
					live.Add(-1)
					r.Cancel()
				default:
					r.Confirm(100)
					l.Renewed(someone, "orders", token, 200, 0)
					live.Add(-1)
					l.Released(someone, "orders", token, 0)
				}
			}
		})
	}
	group.Wait()
	assert.LessOrEqual(t, most.Load(), int64(limit))
	assert.Positive(t, most.Load())
	assert.Zero(t, l.Live(someone, "orders", 0))
}

func TestLedgerForgets(t *testing.T) {
	l := NewLedger()
	for i := range uint64(100_000) {
		l.Renewed(someone, "orders", tok(i), int64(i)+100, int64(i))
		require.LessOrEqual(t, l.held, 2*100+2*slack, "far more than are live")
	}
	// Others, who never come again, and refused ones.
	for i := range uint64(10_000) {
		id := Identity{Name: string(binary.BigEndian.AppendUint64(nil, i))}
		r, err := l.Reserve(id, "orders", tok(i), 1, 1_000_000)
		require.NoError(t, err)
		r.Cancel()
	}
	assert.LessOrEqual(t, len(l.accounts), 2*slack)
	assert.LessOrEqual(t, l.held, 1)
}

func TestLedgerIsSmall(t *testing.T) {
	const leases = 65_536
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	l := NewLedger()
	for i := range uint64(leases) {
		l.Renewed(someone, "orders", tok(i), 100, 0)
	}
	after := heap()
	assert.Equal(t, leases, l.Live(someone, "orders", 0))
	assert.Less(t, (after-before)/leases, uint64(100), "bytes for each lease")
	t.Logf("%d bytes for each of %d leases", (after-before)/leases, leases)

	// A few of them are left.
	l.Renewed(someone, "orders", tok(1), 200, 0)
	assert.Equal(t, 1, l.Live(someone, "orders", 150))
	assert.Less(t, heap()-min(before, heap()), uint64(100_000), "a map keeps its room")
	runtime.KeepAlive(l)
}
