//go:build !gc || race

package generator

import (
	"math/rand/v2"
	"sync"
)

// This is pinning for builds that cannot: any shard will do for a goroutine that
// holds its lock.

// pin returns a shard that is the caller's until unpin.
func (t *shards) pin() *shard {
	s := &t.of[rand.IntN(len(t.of))]
	s.lock.Lock()
	return s
}

func (*shards) unpin(s *shard) { s.lock.Unlock() }

// owner is what keeps a shard apart from others' hands.
type owner struct{ lock sync.Mutex }

func (s *stock) leftover() uint32 {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.left
}
