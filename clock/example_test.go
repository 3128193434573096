package clock_test

import (
	"context"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/clock"
)

func ExampleDefault() {
	c := clock.Default()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	tick := c.Now() / int64(time.Millisecond)
	if err := c.Wait(ctx, (tick+1)*int64(time.Millisecond)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("a later tick:", c.Now()/int64(time.Millisecond) > tick)
	// Output: a later tick: true
}
