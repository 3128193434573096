package layout

import (
	"fmt"
	"math/bits"
	"time"
)

// Order says in which order a layout's fields stand, from the most significant
// bit down. Time always comes first: that is what makes IDs sortable.
type Order uint8

const (
	// TimeNodeSequence is the order of EasyFlake and Twitter: within a tick,
	// IDs sort by node, then by sequence.
	TimeNodeSequence Order = iota
	// TimeSequenceNode is the order of Sonyflake: within a tick, IDs sort by
	// sequence, then by node.
	TimeSequenceNode
)

// String returns the fields in order, "time-node-sequence" for example.
func (o Order) String() string {
	switch o {
	case TimeNodeSequence:
		return "time-node-sequence"
	case TimeSequenceNode:
		return "time-sequence-node"
	}
	return fmt.Sprintf("Order(%d)", uint8(o))
}

// Limits of a configuration.
const (
	// MaxBits is the number of bits that an ID can use: all but the sign.
	MaxBits = 63
	// MinUnit is the finest unit of time that a layout can have.
	MinUnit = time.Microsecond

	// maxTimeBits leaves room for the tick after the last one, the half-open
	// end of a Window, in an int64.
	maxTimeBits = 62
	// maxEndSeconds bounds the end of a layout's life in Unix seconds (some
	// 285 million years), so that every time of every layout fits a time.Time
	// and its Unix milliseconds fit an int64.
	maxEndSeconds = 1 << 53
)

// Config describes a layout. Start from [DefaultConfig] and change what
// differs: zero node bits is a legal choice, so a zero field cannot stand for a
// default.
type Config struct {
	// Epoch is the start of tick 0, from 1970-01-01 to 2262-04-11, in whole
	// nanoseconds.
	Epoch time.Time
	// Unit is the length of one tick, at least [MinUnit].
	Unit time.Duration
	// TimeBits is the width of the tick. Zero takes all that the other two
	// fields leave of the 63 bits (never more than 62, nor more than a life of
	// 285 million years).
	TimeBits int
	// NodeBits is the width of the node number; zero means one single node.
	NodeBits int
	// SequenceBits is the width of the sequence; zero means one ID a tick.
	SequenceBits int
	// Order is the order of the fields. Where the node or the sequence has no
	// bits, it means nothing and becomes [TimeNodeSequence].
	Order Order
}

// DefaultConfig returns EasyFlake's own configuration: epoch 1675859040
// (2023-02-08T12:24:00Z), ticks of 1 ms, 8 node bits, 8 sequence bits and, by
// what these leave, 47 time bits.
func DefaultConfig() Config {
	return Config{
		Epoch:        time.Unix(1675859040, 0).UTC(),
		Unit:         time.Millisecond,
		NodeBits:     8,
		SequenceBits: 8,
		Order:        TimeNodeSequence,
	}
}

// New validates c as a whole and returns its layout, or a [*FieldError] for the
// first field that is out of range. It reads no clock: whether the layout's
// life is over, or nearly so, is for [Layout.Check] to say.
func New(c Config) (Layout, error) {
	if err := c.validate(); err != nil {
		return Layout{}, err
	}
	timeBits := c.TimeBits
	if timeBits == 0 {
		timeBits = min(MaxBits-c.NodeBits-c.SequenceBits, maxTimeBits)
		for !c.representable(timeBits) {
			timeBits--
		}
	}
	order := c.Order
	if c.NodeBits == 0 || c.SequenceBits == 0 {
		// A single field has no order: one meaning must be one Layout.
		order = TimeNodeSequence
	}
	return Layout{
		epoch:        c.Epoch.UnixNano(),
		unit:         c.Unit,
		timeBits:     uint8(timeBits),
		nodeBits:     uint8(c.NodeBits),
		sequenceBits: uint8(c.SequenceBits),
		order:        order,
	}, nil
}

// Default returns EasyFlake's own layout, the one of [DefaultConfig].
func Default() Layout {
	return Layout{
		epoch:        1675859040 * int64(time.Second),
		unit:         time.Millisecond,
		timeBits:     47,
		nodeBits:     8,
		sequenceBits: 8,
	}
}

func (c Config) validate() error {
	// UnixNano is undefined outside of 1677…2262, so the years are compared.
	if y := c.Epoch.UTC().Year(); y < 1970 || y > 2261 {
		return &FieldError{"epoch", c.Epoch.UTC().Format(time.RFC3339Nano), "must lie between 1970-01-01 and 2261-12-31"}
	}
	if c.Unit < MinUnit {
		return &FieldError{"unit", c.Unit, "must be at least " + MinUnit.String()}
	}
	if c.NodeBits < 0 || c.NodeBits >= MaxBits {
		return &FieldError{"node bits", c.NodeBits, fmt.Sprintf("must be between 0 and %d", MaxBits-1)}
	}
	if c.SequenceBits < 0 || c.SequenceBits >= MaxBits {
		return &FieldError{"sequence bits", c.SequenceBits, fmt.Sprintf("must be between 0 and %d", MaxBits-1)}
	}
	rest := c.NodeBits + c.SequenceBits
	if rest >= MaxBits {
		return &FieldError{
			"sequence bits", c.SequenceBits,
			fmt.Sprintf("with %d node bits nothing is left for the time: together they may take %d of the %d bits", c.NodeBits, MaxBits-1, MaxBits),
		}
	}
	if most := min(MaxBits-rest, maxTimeBits); c.TimeBits < 0 || c.TimeBits > most {
		return &FieldError{
			"time bits", c.TimeBits,
			fmt.Sprintf("must be between 1 and %d (of %d bits, %d are node and %d sequence), or 0 for what is left", most, MaxBits, c.NodeBits, c.SequenceBits),
		}
	}
	if c.TimeBits > 0 && !c.representable(c.TimeBits) {
		return &FieldError{"time bits", c.TimeBits, fmt.Sprintf("so many ticks of %v end more than 285 million years from now; take fewer", c.Unit)}
	}
	if c.Order > TimeSequenceNode {
		return &FieldError{"order", c.Order, "must be time-node-sequence or time-sequence-node"}
	}
	return nil
}

// representable reports whether 2^timeBits ticks from the epoch end within
// maxEndSeconds.
func (c Config) representable(timeBits int) bool {
	hi, lo := bits.Mul64(1<<timeBits, uint64(c.Unit))
	lo, carry := bits.Add64(lo, uint64(c.Epoch.UnixNano()), 0)
	hi += carry
	if hi >= 1e9 {
		return false
	}
	seconds, _ := bits.Div64(hi, lo, 1e9)
	return seconds <= maxEndSeconds
}
