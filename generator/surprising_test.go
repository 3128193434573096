package generator_test

import (
	"context"
	"sync"

	"github.com/easyflake/easyflake/clock"
)

// surprising is a clock that goes a little forward or back with each reading, in
// a pattern without period. Waiting for it takes no time, and may be in vain.
type surprising struct {
	mu    sync.Mutex
	now   int64
	state uint64
}

var _ clock.Clock = (*surprising)(nil)

func (c *surprising) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = c.state*6364136223846793005 + 1442695040888963407
	step := int64(c.state>>40) - 1<<23 // up to 8.4 ms either way
	c.now += step + 1000
	return c.now
}

func (c *surprising) Wait(ctx context.Context, until int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state%3 > 0 {
		c.now = max(c.now, until)
	}
	return ctx.Err()
}
