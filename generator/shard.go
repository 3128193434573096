package generator

import (
	"sync/atomic"
	"unsafe"
)

// maxBlock bounds what a shard reserves at once. At this size the shared word is
// touched too seldom to matter.
const maxBlock = 512

// shardSize is that of a shard in memory, a power of two and more than what CPUs
// fetch at once.
const shardSize = 256

// shard is a P's stock of numbers: a block reserved from the shared word, all of
// one tick. Whoever has it pinned owns all its fields. Blocks stay unique
// whatever happens after their reservation; they are thrown away only to keep
// IDs in the order of time.
type shard struct {
	stock
	_ [shardSize - unsafe.Sizeof(stock{})]byte
}

type stock struct {
	owner //nolint:unused // see pin_locked.go

	// The hot path: the next ID, how many are left, and the readings for
	// which the block is good without further thought: length of them from
	// start on. They are nanoseconds, or cycles where the clock is a TSC.
	window *snapshot
	start  uint64
	length uint64
	id     uint64
	left   uint32

	size      uint32 // of the next block, before the tick's rest cuts it
	wasted    bool   // some of a block since the last one was thrown away
	tick      uint64
	discarded atomic.Int64
}

// shards holds one shard for each P, next to each other: finding one's own takes
// no load. It is immutable but for the shards' insides. Where Ps are added, a
// longer one takes its place, and what is left in the older one is lost.
type shards struct {
	of    []shard
	none  *shard  // an empty one, for Ps beyond
	older *shards // for the statistics
}

func newShards(n int, older *shards) *shards {
	t := &shards{of: make([]shard, n), none: new(shard), older: older}
	for i := range t.of {
		t.of[i].size = 1
	}
	return t
}

// sum adds up what is in the blocks, and what was thrown away.
func (t *shards) sum() (left, discarded int64) {
	for ; t != nil; t = t.older {
		for i := range t.of {
			left += int64(t.of[i].leftover())
			discarded += t.of[i].discarded.Load()
		}
	}
	return left, discarded
}

// discard throws the rest of the block away.
func (s *shard) discard() {
	s.discarded.Add(int64(s.left))
	s.left = 0
	s.wasted = true
}

// goodFor notes for which times the block is good.
func (s *shard) goodFor(c *core, from, until int64) {
	if c.tsc != nil {
		s.start, s.length = c.tsc.Interval(from, until)
		return
	}
	s.start, s.length = uint64(from), uint64(until-from)
}

// take returns the next ID of a block that is not empty.
func (s *shard) take(step uint64) span {
	id := s.id
	s.id += step
	s.left--
	return span{id, 1}
}
