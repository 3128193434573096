package redisstore

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

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
//	REVISION VALUE
//
// with 16 hexadecimal digits of a revision that the write has drawn at random. So none
// comes back, even where the record that had it was lost, and a write knows itself.
func newRecord(value []byte) (revision uint64, record []byte) {
	var drawn [8]byte
	for revision == 0 { // which means that there is no record
		_, _ = rand.Read(drawn[:]) // does not fail
		revision = binary.BigEndian.Uint64(drawn[:])
	}
	record = make([]byte, 0, 17+len(value))
	record = append(appendHex(record, revision), ' ')
	return revision, append(record, value...)
}

var errNoRecord = errors.New("not a revision and a value")

func parseRecord(text string) (pool.Record, error) {
	digits, value, ok := strings.Cut(text, " ")
	revision, err := parseHex(digits)
	if !ok || err != nil || revision == 0 {
		return pool.Record{}, errNoRecord
	}
	return pool.Record{Value: []byte(value), Revision: revision}, nil
}

// wanted is a revision as a write asks for it.
func wanted(revision uint64) string {
	if revision == 0 {
		return ""
	}
	return string(appendHex(nil, revision))
}

// appendHex appends 16 digits, so that numbers sort by their text.
func appendHex(b []byte, n uint64) []byte {
	return hex.AppendEncode(b, binary.BigEndian.AppendUint64(nil, n))
}

func parseHex(text string) (uint64, error) {
	var b [8]byte
	if len(text) != 16 {
		return 0, errNoRecord
	}
	if _, err := hex.Decode(b[:], []byte(text)); err != nil {
		return 0, errNoRecord
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// field is a node's number as it stands in hash and index: 16 hexadecimal digits, the
// sign turned so that negative ones come first.
func field(node int64) string { return string(appendHex(nil, uint64(node)^1<<63)) }

func parseField(text string) (int64, error) {
	n, err := parseHex(text)
	return int64(n ^ 1<<63), err
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
