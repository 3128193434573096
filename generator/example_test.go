package generator_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// newYear is a clock for examples, so that they print the same IDs each time.
// Programs leave WithClock away.
func newYear() *clocktest.Clock {
	c := clocktest.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	c.Run(time.Microsecond)
	return c
}

func Example() {
	l := layout.Default()
	g, err := generator.NewMutex(l, generator.Static(1), generator.WithClock(newYear()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	for range 3 {
		id, err := g.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(id)
	}
	// Output:
	// 5987798876225792
	// 5987798876225793
	// 5987798876225794
}

func ExampleNewSharded() {
	l := layout.Default()
	g, err := generator.NewSharded(l, generator.Static(7), generator.WithClock(newYear()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	id, err := g.Next() // safe for concurrent use
	if err != nil {
		fmt.Println(err)
		return
	}
	parts, err := l.Decompose(id)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(id, "was made by node", parts.Node, "at", parts.Time.Format(time.RFC3339Nano))
	// Output:
	// 5987798876227328 was made by node 7 at 2026-01-01T00:00:00.001Z
}

func ExampleSharded_Fill() {
	g, err := generator.NewSharded(layout.Default(), generator.Static(7), generator.WithClock(newYear()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	ids := make([]layout.ID, 1000) // about four ticks of the default layout
	n, err := g.Fill(ids)
	fmt.Println(n, err)
	fmt.Println(ids[0], "…", ids[n-1])
	// Output:
	// 1000 <nil>
	// 5987798876227328 … 5987798876424167
}

func ExampleAtomic_Seq() {
	g, err := generator.NewAtomic(layout.Default(), generator.Static(7), generator.WithClock(newYear()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for id, err := range g.Seq(ctx) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(id)
		n++
		if n == 3 {
			cancel() // or break
		}
	}
	// Output:
	// 5987798876227328
	// 5987798876227329
	// 5987798876227330
	// generator: context canceled
}

// A context bounds how long to wait for the clock, or for a lease.
func ExampleMutex_NextContext() {
	c := newYear()
	c.Freeze()
	g, err := generator.NewMutex(layout.Default(), generator.Static(7), generator.WithClock(c))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = g.NextContext(ctx) // the first ID is of the tick after the clock's
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// true
}

// With Fail, a burst gets an error where it would have to wait.
func ExampleFail() {
	g, err := generator.NewMutex(layout.Default(), generator.Static(7),
		generator.WithClock(newYear()), generator.WithOverflow(generator.Fail()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	n, err := g.Fill(make([]layout.ID, 1000))
	fmt.Println(n)
	fmt.Println(err)
	fmt.Println(errors.Is(err, generator.ErrExhausted))
	// Output:
	// 256
	// generator: the tick's sequence is used up; try again in the next tick, or choose more sequence bits
	// true
}

// With Borrow, a burst takes the numbers of ticks to come.
func ExampleBorrow() {
	g, err := generator.NewMutex(layout.Default(), generator.Static(7),
		generator.WithClock(newYear()), generator.WithOverflow(generator.Borrow(5*time.Millisecond)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	n, err := g.Fill(make([]layout.ID, 1000))
	stats := g.Stats()
	fmt.Println(n, err)
	fmt.Println("borrowed ticks:", stats.BorrowedTicks)
	// Output:
	// 1000 <nil>
	// borrowed ticks: 4
}
