package layout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// String returns the layout's canonical text, or "no layout" for the zero
// Layout.
func (l Layout) String() string {
	if l.IsZero() {
		return "no layout"
	}
	return string(l.append(nil))
}

// AppendText appends the layout's canonical text to dst:
//
//	epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8
//
// Two layouts have the same text if and only if they are ==, so that the text
// can stand for the layout in records and in names. The epoch is in RFC 3339
// and UTC, with as many fractional digits as it takes. The unit is a whole
// number of the largest of h, m, s, ms, us and ns that divides it. The widths
// are in bits; the keys node and sequence stand in the order in which the
// fields stand in the ID. The zero Layout is an error.
//
// AppendText does not allocate if dst has room.
func (l Layout) AppendText(dst []byte) ([]byte, error) {
	if l.IsZero() {
		return dst, errZero()
	}
	return l.append(dst), nil
}

// MarshalText returns the layout's canonical text: [Layout.AppendText].
func (l Layout) MarshalText() ([]byte, error) { return l.AppendText(nil) }

// UnmarshalText reads what [Parse] reads: the canonical text, or a preset's
// name.
func (l *Layout) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err == nil {
		*l = v
	}
	return err
}

func errZero() error {
	return &FieldError{"layout", Layout{}, "the zero Layout describes nothing; make one with New, Parse or Default"}
}

func (l Layout) append(dst []byte) []byte {
	dst = append(dst, "epoch="...)
	dst = l.Epoch().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, ",unit="...)
	dst = appendUnit(dst, l.unit)
	dst = appendBits(dst, ",time=", l.timeBits)
	if l.order == TimeSequenceNode {
		dst = appendBits(dst, ",sequence=", l.sequenceBits)
		return appendBits(dst, ",node=", l.nodeBits)
	}
	dst = appendBits(dst, ",node=", l.nodeBits)
	return appendBits(dst, ",sequence=", l.sequenceBits)
}

func appendBits(dst []byte, key string, n uint8) []byte {
	return strconv.AppendUint(append(dst, key...), uint64(n), 10)
}

// appendUnit is not Duration.String, which writes 100 µs outside of ASCII and
// one hour as 1h0m0s. time.ParseDuration reads both.
func appendUnit(dst []byte, unit time.Duration) []byte {
	size, suffix := time.Nanosecond, "ns"
	switch {
	case unit%time.Hour == 0:
		size, suffix = time.Hour, "h"
	case unit%time.Minute == 0:
		size, suffix = time.Minute, "m"
	case unit%time.Second == 0:
		size, suffix = time.Second, "s"
	case unit%time.Millisecond == 0:
		size, suffix = time.Millisecond, "ms"
	case unit%time.Microsecond == 0:
		size, suffix = time.Microsecond, "us"
	}
	return append(strconv.AppendInt(dst, int64(unit/size), 10), suffix...)
}

// Parse returns the layout that text describes: the name of a preset, as
// [ByName] has them, or the text of [Layout.AppendText], in which keys may stand
// in any order and be left out. What is left out comes from [DefaultConfig], and
// so without the key time (or with time=0) the time takes what the others leave:
// "node=10" is EasyFlake's layout with ten node bits and 45 time bits. Where both node and
// sequence are given, their order is the order of the fields. The unit may be
// anything that [time.ParseDuration] reads.
//
// A field that cannot be read or is out of range gets a [*FieldError], a name
// that is no preset an [*UnknownPresetError].
func Parse(text string) (Layout, error) {
	switch {
	case text == "":
		return Layout{}, &FieldError{"layout", text, "is empty; give a preset's name, or text such as " + exampleText}
	case strings.ContainsAny(text, " \t\r\n"):
		return Layout{}, &FieldError{"layout", text, "must not contain spaces"}
	case !strings.Contains(text, "="):
		return ByName(text)
	}
	p := textParser{config: DefaultConfig()}
	for pair := range strings.SplitSeq(text, ",") {
		if err := p.pair(pair); err != nil {
			return Layout{}, err
		}
	}
	return New(p.config)
}

const exampleText = "epoch=2023-02-08T12:24:00Z,unit=1ms,node=8,sequence=8"

// The keys of the text form.
const (
	keyEpoch    = "epoch"
	keyUnit     = "unit"
	keyTime     = "time"
	keyNode     = "node"
	keySequence = "sequence"
)

type textParser struct {
	config Config
	seen   []string
}

func (p *textParser) pair(pair string) error {
	key, value, found := strings.Cut(pair, "=")
	if !found {
		return &FieldError{"layout", pair, "must be a key, an equals sign and a value, as in node=8"}
	}
	if slices.Contains(p.seen, key) {
		return &FieldError{"layout key", key, "is given twice"}
	}
	var err error
	switch key {
	case keyEpoch:
		p.config.Epoch, err = parseEpoch(value)
	case keyUnit:
		p.config.Unit, err = parseUnit(value)
	case keyTime:
		p.config.TimeBits, err = parseBits("time bits", value)
	case keyNode:
		p.config.NodeBits, err = parseBits("node bits", value)
		if slices.Contains(p.seen, keySequence) {
			p.config.Order = TimeSequenceNode
		}
	case keySequence:
		p.config.SequenceBits, err = parseBits("sequence bits", value)
	default:
		known := []string{keyEpoch, keyUnit, keyTime, keyNode, keySequence}
		err = &FieldError{"layout key", key, fmt.Sprintf("is unknown; the nearest is %q", nearest(key, known))}
	}
	p.seen = append(p.seen, key)
	return err
}

func parseEpoch(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, &FieldError{"epoch", s, "must be a time as in RFC 3339, such as 2023-02-08T12:24:00Z"}
	}
	return t, nil
}

func parseUnit(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, &FieldError{"unit", s, "must be a duration, such as 1ms, 100us or 1s"}
	}
	return d, nil
}

// parseBits reads what strconv.Atoi does, but no sign.
func parseBits(field, s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, &FieldError{field, s, "must be a number of bits between 0 and 63"}
	}
	return int(n), nil
}
