package peers

import (
	"sync"
	"testing"
)

// crew runs work(0) … work(n-1), each in a goroutine of its own, all let go at the
// same moment, and returns when all have ended. The benchmark's timer runs meanwhile.
func crew(b *testing.B, n int, work func(i int)) {
	b.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			work(i)
		})
	}
	b.ResetTimer()
	close(start)
	wg.Wait()
	b.StopTimer()
}

// share returns how many of total the i-th of n has to do.
func share(total, i, n int) int {
	if i < total%n {
		return total/n + 1
	}
	return total / n
}
