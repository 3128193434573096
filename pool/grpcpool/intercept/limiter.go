package intercept

import (
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// limiter lets some of each kind through and counts the rest: a burst, and then
// one each so often. It keeps no more than most kinds.
type limiter struct {
	burst int64
	every int64 // nanoseconds
	most  int

	mu      sync.Mutex // owns what follows
	buckets map[kind]*bucket
	total   uint64 // all that were ever held back
}

// kind is what counts as the same again.
type kind struct {
	method string
	code   codes.Code
}

// bucket says when the burst is whole again, and how many were held back since the
// last one that was let through.
type bucket struct {
	whole int64 // Unix nanoseconds
	held  uint64
}

func newLimiter(burst int, every time.Duration) *limiter {
	return &limiter{
		burst:   int64(max(1, burst)),
		every:   int64(max(1, every)),
		most:    1024,
		buckets: make(map[kind]*bucket),
	}
}

// allow reports whether one more may pass at now, and how many like it were held
// back before it.
func (l *limiter) allow(k kind, now int64) (held uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[k]
	if b == nil {
		if len(l.buckets) >= l.most {
			k = kind{code: k.code} // shared by all that came too late
			b = l.buckets[k]
		}
		if b == nil {
			b = &bucket{whole: now}
			l.buckets[k] = b
		}
	}
	missing := b.whole - now
	if missing < 0 || missing > l.burst*l.every {
		// Whole for long; or the clock was set back, and must not silence
		// anybody until it is there again.
		missing = 0
	}
	if missing > (l.burst-1)*l.every {
		b.held++
		l.total++
		return 0, false
	}
	b.whole = now + missing + l.every
	held, b.held = b.held, 0
	return held, true
}

// suppressed returns how many were ever held back.
func (l *limiter) suppressed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}
