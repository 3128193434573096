package layout

import (
	"fmt"
	"math/bits"
	"time"
)

// Layout is the shape of an ID: an epoch, a unit of time, and the widths and
// the order of the three fields. It is a small comparable value; two layouts
// are == if and only if they give the same meaning to every ID. The zero
// Layout is no layout: [Layout.IsZero].
//
//	 63  62                                                    0
//	┌───┬──────────────────────────────┬───────────┬───────────┐
//	│ 0 │ tick: units since the epoch  │   node    │ sequence  │  time-node-sequence
//	└───┴──────────────────────────────┴───────────┴───────────┘
//	┌───┬──────────────────────────────┬───────────┬───────────┐
//	│ 0 │ tick: units since the epoch  │ sequence  │   node    │  time-sequence-node
//	└───┴──────────────────────────────┴───────────┴───────────┘
//
// The fields stand at the low end: where they take fewer than 63 bits together,
// the bits above them are 0.
type Layout struct {
	epoch        int64 // Unix nanoseconds, ≥ 0
	unit         time.Duration
	timeBits     uint8
	nodeBits     uint8
	sequenceBits uint8
	order        Order
}

// Parts are the fields of one ID.
type Parts struct {
	// Time is the start of the tick, in UTC.
	Time time.Time
	// Tick counts the layout's units since its epoch.
	Tick int64
	// Node is the number of the node that made the ID.
	Node int64
	// Sequence tells apart the IDs that one node made in one tick.
	Sequence int64
}

// IsZero reports whether l is the zero Layout, which describes nothing.
func (l Layout) IsZero() bool { return l == Layout{} }

// Config returns the configuration that gives l, to change what shall differ.
func (l Layout) Config() Config {
	return Config{
		Epoch:        l.Epoch(),
		Unit:         l.unit,
		TimeBits:     int(l.timeBits),
		NodeBits:     int(l.nodeBits),
		SequenceBits: int(l.sequenceBits),
		Order:        l.order,
	}
}

// Epoch returns the start of tick 0, in UTC.
func (l Layout) Epoch() time.Time { return time.Unix(0, l.epoch).UTC() }

// Unit returns the length of one tick.
func (l Layout) Unit() time.Duration { return l.unit }

// TimeBits returns the width of the tick.
func (l Layout) TimeBits() int { return int(l.timeBits) }

// NodeBits returns the width of the node number.
func (l Layout) NodeBits() int { return int(l.nodeBits) }

// SequenceBits returns the width of the sequence.
func (l Layout) SequenceBits() int { return int(l.sequenceBits) }

// Order returns the order of the fields.
func (l Layout) Order() Order { return l.order }

// Bits returns how many bits the three fields take together, at most 63.
func (l Layout) Bits() int { return int(l.timeBits) + int(l.nodeBits) + int(l.sequenceBits) }

// MaxTick returns the layout's last tick.
func (l Layout) MaxTick() int64 { return 1<<l.timeBits - 1 }

// MaxNode returns the largest node number.
func (l Layout) MaxNode() int64 { return 1<<l.nodeBits - 1 }

// MaxSequence returns the largest sequence number of a tick.
func (l Layout) MaxSequence() int64 { return 1<<l.sequenceBits - 1 }

// MaxID returns the layout's largest ID: all three fields at their maximum.
func (l Layout) MaxID() ID { return ID(uint64(1)<<l.Bits() - 1) }

// TimeShift returns the position of the tick's lowest bit, counted from the low
// end of an ID.
func (l Layout) TimeShift() int { return int(l.nodeBits) + int(l.sequenceBits) }

// NodeShift returns the position of the node's lowest bit.
func (l Layout) NodeShift() int {
	if l.order == TimeSequenceNode {
		return 0
	}
	return int(l.sequenceBits)
}

// SequenceShift returns the position of the sequence's lowest bit.
func (l Layout) SequenceShift() int {
	if l.order == TimeSequenceNode {
		return int(l.nodeBits)
	}
	return 0
}

// CheckNode returns a [*FieldError] if node does not fit the layout's node bits.
func (l Layout) CheckNode(node int64) error {
	return l.within("node", node, l.MaxNode(), l.nodeBits)
}

func (l Layout) within(field string, v, most int64, width uint8) error {
	if v >= 0 && v <= most {
		return nil
	}
	return &FieldError{field, v, fmt.Sprintf("must be between 0 and %d (%d %s bits)", most, width, field)}
}

// CheckID returns a [*FieldError] if id is none of this layout: negative, or
// with a bit set above the layout's fields.
func (l Layout) CheckID(id ID) error {
	switch {
	case id < 0:
		return &FieldError{"id", int64(id), "must not be negative"}
	case id > l.MaxID():
		return &FieldError{"id", int64(id), fmt.Sprintf("must be at most %d (the layout has %d bits)", int64(l.MaxID()), l.Bits())}
	}
	return nil
}

// Compose builds an ID from its fields, or returns a [*FieldError] for the
// first one that is out of range.
func (l Layout) Compose(tick, node, sequence int64) (ID, error) {
	if tick < 0 || tick > l.MaxTick() || node < 0 || node > l.MaxNode() || sequence < 0 || sequence > l.MaxSequence() {
		return 0, l.composeError(tick, node, sequence)
	}
	return ID(tick<<l.TimeShift() | node<<l.NodeShift() | sequence<<l.SequenceShift()), nil
}

func (l Layout) composeError(tick, node, sequence int64) error {
	if err := l.within("tick", tick, l.MaxTick(), l.timeBits); err != nil {
		return err
	}
	if err := l.CheckNode(node); err != nil {
		return err
	}
	return l.within("sequence", sequence, l.MaxSequence(), l.sequenceBits)
}

// Decompose takes an ID apart. It asks no clock, and so decodes IDs of layouts
// whose life is over too. An ID that is none of this layout gets a
// [*FieldError].
func (l Layout) Decompose(id ID) (Parts, error) {
	if err := l.CheckID(id); err != nil {
		return Parts{}, err
	}
	tick := int64(id) >> l.TimeShift()
	return Parts{
		Time:     l.Time(tick),
		Tick:     tick,
		Node:     int64(id) >> l.NodeShift() & l.MaxNode(),
		Sequence: int64(id) >> l.SequenceShift() & l.MaxSequence(),
	}, nil
}

// Tick returns the tick that t lies in. Times before the epoch get
// [ErrBeforeEpoch], those after the last tick [ErrPastEnd].
func (l Layout) Tick(t time.Time) (int64, error) {
	tick, _ := l.floor(t)
	switch {
	case tick < 0:
		return 0, l.errBeforeEpoch(t)
	case tick > l.MaxTick():
		return 0, l.errPastEnd(t)
	}
	return tick, nil
}

// floor returns the last tick that starts at or before t, and whether t lies
// past that start. It is −1 with true before the epoch, and MaxTick + 1 with
// false past the last tick: either way, tick plus one if past is the first tick
// that starts at or after t.
func (l Layout) floor(t time.Time) (tick int64, past bool) {
	const second = int64(time.Second)
	if t.Unix() < 0 {
		return -1, true
	}
	seconds := t.Unix() - l.epoch/second
	nanos := int64(t.Nanosecond()) - l.epoch%second
	if nanos < 0 {
		seconds--
		nanos += second
	}
	if seconds < 0 {
		return -1, true
	}
	// Ticks × unit can leave 64 bits of nanoseconds: divide 128 bits.
	hi, lo := bits.Mul64(uint64(seconds), uint64(second))
	lo, carry := bits.Add64(lo, uint64(nanos), 0)
	hi += carry
	if hi < uint64(l.unit) {
		if q, rest := bits.Div64(hi, lo, uint64(l.unit)); q <= uint64(l.MaxTick()) {
			return int64(q), rest != 0
		}
	}
	return l.MaxTick() + 1, false
}

// ceil returns the first tick that starts at or after t: from 0 up to
// MaxTick + 1, where no tick of the layout does.
func (l Layout) ceil(t time.Time) int64 {
	tick, past := l.floor(t)
	if past {
		tick++
	}
	return tick
}

func (l Layout) errBeforeEpoch(t time.Time) error {
	return fmt.Errorf("layout: %s is %w, %s", rfc3339(t), ErrBeforeEpoch, rfc3339(l.Epoch()))
}

func (l Layout) errPastEnd(t time.Time) error {
	return fmt.Errorf("layout: %s is %w, %s", rfc3339(t), ErrPastEnd, rfc3339(l.Time(l.MaxTick())))
}

// Time returns the start of a tick, in UTC. It takes any tick from 0 to
// [Layout.MaxTick] + 1, the end of the layout's life; beyond these it returns
// the nearer one's time.
func (l Layout) Time(tick int64) time.Time {
	tick = max(0, min(tick, l.MaxTick()+1))
	hi, lo := bits.Mul64(uint64(tick), uint64(l.unit))
	lo, carry := bits.Add64(lo, uint64(l.epoch), 0)
	// New bounds the end of life to 2^53 s, so that this cannot overflow.
	seconds, nanos := bits.Div64(hi+carry, lo, uint64(time.Second))
	return time.Unix(int64(seconds), int64(nanos)).UTC()
}

// End returns the end of the layout's life: the first instant after its last
// tick.
func (l Layout) End() time.Time { return l.Time(l.MaxTick() + 1) }

// Rate returns how many IDs one node can make, in IDs per second.
func (l Layout) Rate() float64 {
	return float64(l.MaxSequence()+1) * (float64(time.Second) / float64(l.unit))
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
