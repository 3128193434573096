package clock

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

const cacheLine = 64

// A line and an anchor are read by every CPU all the time: nothing that is
// written may lie in their cache line.
func TestSnapshotsFillACacheLine(t *testing.T) {
	assert.EqualValues(t, cacheLine, unsafe.Sizeof(line{}))
	assert.EqualValues(t, cacheLine, unsafe.Sizeof(anchor{}))
	for range 100 { // the size alone does not align them: the allocator does
		l, a := new(line), new(anchor)
		assert.Zero(t, uintptr(unsafe.Pointer(l))%cacheLine)
		assert.Zero(t, uintptr(unsafe.Pointer(a))%cacheLine)
		keep = append(keep[:0], l, a)
	}
}

var keep []any // so that they are not allocated on the stack

// The words that every reading loads must be two cache lines away from whatever
// comes before and after them.
func TestHotWordsArePadded(t *testing.T) {
	const apart = 2 * cacheLine
	assert.GreaterOrEqual(t, unsafe.Sizeof(pad{}), uintptr(apart))

	var m Monotonic
	assert.GreaterOrEqual(t, unsafe.Offsetof(m.origin), uintptr(apart))
	assert.GreaterOrEqual(t, unsafe.Offsetof(m.anchor), uintptr(apart))
	first := min(unsafe.Offsetof(m.mu), unsafe.Offsetof(m.steps), unsafe.Offsetof(m.ahead))
	assert.GreaterOrEqual(t, first-(unsafe.Offsetof(m.origin)+unsafe.Sizeof(m.origin)), uintptr(apart))
	assert.GreaterOrEqual(t, first-(unsafe.Offsetof(m.anchor)+unsafe.Sizeof(m.anchor)), uintptr(apart))

	var c TSC
	assert.GreaterOrEqual(t, unsafe.Offsetof(c.line), uintptr(apart))
	first = min(unsafe.Offsetof(c.slow), unsafe.Offsetof(c.faults), unsafe.Offsetof(c.mu), unsafe.Offsetof(c.calibration))
	assert.GreaterOrEqual(t, first-(unsafe.Offsetof(c.line)+unsafe.Sizeof(c.line)), uintptr(apart))

	var r Coarse
	assert.GreaterOrEqual(t, unsafe.Offsetof(r.now), uintptr(apart))
	first = min(unsafe.Offsetof(r.base), unsafe.Offsetof(r.mu), unsafe.Offsetof(r.closed), unsafe.Offsetof(r.stop), unsafe.Offsetof(r.ended))
	assert.GreaterOrEqual(t, first-(unsafe.Offsetof(r.now)+unsafe.Sizeof(r.now)), uintptr(apart))
}
