package peers

import (
	"slices"
	"testing"
)

// The layouts that an implementation can be measured with.
const (
	own  = "own"
	wide = "wide"
	none = "none"
)

// impl is one way to make IDs, or a floor.
type impl struct {
	name    string
	layouts []string
	// start makes a new one, of one of its layouts or of what
	// [BenchmarkSequence] and [BenchmarkSaturate] ask for.
	start func(tb testing.TB, layout string) ops
}

// ops are the two ways in which an implementation is called.
type ops struct {
	// loop makes an ID for each turn of the loop, called as users call it: not
	// through an interface or a function value.
	loop func(b *testing.B, pb *testing.PB)
	// next makes one ID. It costs a nanosecond more than loop does.
	next func() error
}

// impls returns all that is measured, the floors first.
func impls() []impl {
	return slices.Concat(floors(), easyflakes(), others())
}

// contenders returns what is measured where each one takes more than a single
// number: of this project's clocks only the default.
func contenders(tb testing.TB) []impl {
	tb.Helper()
	suffix := defaultClock()
	list := others()
	for _, strategy := range strategies() {
		i := slices.IndexFunc(easyflakes(), func(i impl) bool { return i.name == easyflakeName(strategy, suffix) })
		list = append(list, easyflakes()[i])
	}
	return list
}

// freest returns the layout in which the least stands in the way of an
// implementation.
func (i impl) freest() string {
	if slices.Contains(i.layouts, wide) {
		return wide
	}
	return i.layouts[0]
}
