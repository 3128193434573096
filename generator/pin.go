//go:build gc && !race

package generator

import (
	"sync/atomic"
	_ "unsafe" // for go:linkname
)

// A goroutine that is pinned is not moved off its P, the scheduler's processor,
// and no other goroutine runs there. A shard belongs to a P, so while it is
// pinned, its fields are this goroutine's alone: no lock, no atomic operation,
// no cache line that another CPU writes. While pinned, nothing may block.
//
// The race detector does not know of this order; its builds, and other
// compilers', have pin_locked.go.

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// pin returns the shard of this P, which is the caller's until unpin, or t.none
// where the P has none yet, which nobody may write to; unpin is due in either
// case.
func (t *shards) pin() *shard {
	if p := procPin(); uint(p) < uint(len(t.of)) { // one comparison, not two
		return &t.of[p]
	}
	return t.none
}

func (*shards) unpin(*shard) { procUnpin() }

// owner is what keeps a shard apart from others' hands besides pinning: nothing.
type owner struct{} //nolint:unused // pin_locked.go has a lock here

// leftover reads another P's count while that may change it. A count is one
// machine word or less, so that some value that was there is read (The Go Memory
// Model, "Implementation Restrictions"): good enough for statistics.
func (s *stock) leftover() uint32 { return atomic.LoadUint32(&s.left) }
