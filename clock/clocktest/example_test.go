package clocktest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/clock/clocktest"
)

// A goroutine waits by the clock; the test waits until it does, then lets the
// time pass that it waits for.
func Example() {
	c := clocktest.New(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC))
	ctx := context.Background()

	woken := make(chan time.Time)
	go func() {
		if err := c.Wait(ctx, c.Now()+int64(time.Hour)); err == nil {
			woken <- c.Time()
		}
	}()
	if err := c.BlockUntil(ctx, 1); err != nil {
		fmt.Println(err)
		return
	}

	c.StepBack(24 * time.Hour) // an operator sets the clock: nobody is held
	c.Advance(time.Hour)
	fmt.Println("woken at", <-woken)
	// Output: woken at 2025-12-31 01:00:00 +0000 UTC
}
