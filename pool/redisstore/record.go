package redisstore

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/easyflake/easyflake/pool"
)

// format is the version of what is described in the package's documentation.
const format = "1"

const (
	maxName  = 255
	maxValue = 1 << 20
)

// fits refuses what is no record of a pool's.
func fits(w pool.Write) error {
	if w.Namespace == "" || len(w.Namespace) > maxName || len(w.Value) > maxValue {
		return fmt.Errorf("pool: a record of %d bytes for a namespace with a name of %d bytes: the name must have 1 to %d, the record at most %d", len(w.Value), len(w.Namespace), maxName, maxValue)
	}
	return nil
}

// keys are the names of a store's keys. A prefix has no brace, and is the hash tag, too:
// stores of different prefixes never share a key.
type keys struct {
	store, namespaces string
	nodes, index      string // to which a namespace's name is added
}

func newKeys(prefix string) keys {
	base := prefix + "{" + prefix + "}"
	return keys{store: base + "store", namespaces: base + "namespaces", nodes: base + "nodes:", index: base + "index:"}
}

// A record is kept as
//
//	REVISION ID VALUE
//
// with the revision in decimal digits. The ID is the write's own, 16 hexadecimal
// digits drawn at random, by which it is told from another one of the same value.
func newRecord(value []byte) []byte {
	id := rand.Uint64() //nolint:gosec // tells apart the writes of those who trust each other
	return append(fmt.Appendf(make([]byte, 0, 17+len(value)), "%016x ", id), value...)
}

var errNoRecord = errors.New("not a revision, an ID and a value")

func parseRecord(text string) (pool.Record, error) {
	revision, rest, ok := bytes.Cut([]byte(text), []byte{' '})
	id, value, and := bytes.Cut(rest, []byte{' '})
	n, err := strconv.ParseUint(string(revision), 10, 53)
	if !ok || !and || err != nil || n == 0 || len(id) != 16 {
		return pool.Record{}, errNoRecord
	}
	return pool.Record{Value: value, Revision: n}, nil
}

// field is a node's number as it stands in hash and index, where numbers sort by their
// text: 16 hexadecimal digits, the sign turned so that negative ones come first.
func field(node int64) string { return fmt.Sprintf("%016x", uint64(node)^1<<63) }

func parseField(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 {
		return 0, errNoRecord
	}
	return int64(n ^ 1<<63), nil
}

// seconds and microseconds, as TIME tells them, in nanoseconds.
func nanoseconds(seconds, micros string) (int64, error) {
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || s < 0 || s > math.MaxInt64/1_000_000_000-1 {
		return 0, fmt.Errorf("pool: the server tells a time of %q seconds", seconds)
	}
	us, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || us < 0 || us >= 1_000_000 {
		return 0, fmt.Errorf("pool: the server tells a time of %q microseconds", micros)
	}
	return s*1_000_000_000 + us*1_000, nil
}
