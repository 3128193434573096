package fuzz

import (
	"encoding/hex"
	"regexp"
	"strconv"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// How records are written, a second time: no other bytes are a record.
var (
	nodeForm = regexp.MustCompile(`^\{"v":1(?:,"token":"([0-9a-f]{32})")?,"from":(0|[1-9][0-9]*),"until":(0|[1-9][0-9]*),"before":(0|[1-9][0-9]*),"highest":(0|[1-9][0-9]*),"window_ns":(0|[1-9][0-9]*),"revision":(0|[1-9][0-9]*)(?:,"nonce":"([0-9a-f]{32})")?(,"revoked":true)?(,"retired":true)?\}$`)

	namespaceForm = regexp.MustCompile(`^\{"v":1,"layout":"([^"\\]*)","ranges":(?:null|\[((?:\{[^{}]*\},?)+)\]),"skew_ns":(0|[1-9][0-9]*),"first_window_ns":(0|[1-9][0-9]*),"window_ns":(0|[1-9][0-9]*),"horizon_ns":(0|[1-9][0-9]*),"floor":(0|[1-9][0-9]*)\}$`)

	rangeForm = regexp.MustCompile(`^\{"first":(0|[1-9][0-9]*),"last":(0|[1-9][0-9]*),"use":"(leased|by-hand|legacy)"(?:,"floor":([1-9][0-9]*))?\}(?:,|$)`)
)

// readNode reads a node's record, or says that it is none.
func readNode(record []byte, l layout.Layout) (n pool.Node, ok bool) {
	m := nodeForm.FindSubmatch(record)
	if m == nil {
		return n, false
	}
	ok = true
	number := func(s []byte) int64 {
		v, err := strconv.ParseInt(string(s), 10, 64)
		ok = ok && err == nil
		return v
	}
	n.From, n.Until, n.Before, n.Highest = number(m[2]), number(m[3]), number(m[4]), number(m[5])
	n.Window = time.Duration(number(m[6]))
	revision, err := strconv.ParseUint(string(m[7]), 10, 64)
	ok = ok && err == nil
	n.Revision, n.Revoked, n.Retired = revision, m[9] != nil, m[10] != nil
	for i, into := range map[int]*pool.Token{1: &n.Token, 8: &n.Nonce} {
		if m[i] == nil {
			continue
		}
		_, err := hex.Decode(into[:], m[i])
		ok = ok && err == nil && !into.IsZero() // of nobody, it is left out
	}
	ok = ok && n.Until <= n.Highest && n.Before <= n.Highest && n.Highest <= l.MaxTick()+1
	return n, ok && (n.Token.IsZero() || n.From < n.Until)
}

// readNamespace reads a namespace's record, or says that it is none.
func readNamespace(name string, record []byte) (n pool.Namespace, ok bool) {
	m := namespaceForm.FindSubmatch(record)
	if m == nil {
		return n, false
	}
	ok = true
	number := func(s []byte) int64 {
		v, err := strconv.ParseInt(string(s), 10, 64)
		ok = ok && err == nil
		return v
	}
	l, err := layout.Parse(string(m[1]))
	if err != nil || l.String() != string(m[1]) {
		return n, false
	}
	n.Name, n.Layout, n.Floor = name, l, number(m[7])
	n.Terms = pool.Terms{
		Skew: time.Duration(number(m[3])), FirstWindow: time.Duration(number(m[4])),
		Window: time.Duration(number(m[5])), Horizon: time.Duration(number(m[6])),
	}
	uses := map[string]pool.Use{"leased": pool.Leased, "by-hand": pool.ByHand, "legacy": pool.Legacy}
	for rest := m[2]; len(rest) > 0; {
		r := rangeForm.FindSubmatch(rest)
		if r == nil || rest[len(rest)-1] == ',' {
			return n, false
		}
		one := pool.Range{First: number(r[1]), Last: number(r[2]), Use: uses[string(r[3])]}
		if r[4] != nil {
			one.Floor = number(r[4])
		}
		n.Ranges = append(n.Ranges, one)
		rest = rest[len(r[0]):]
	}
	return n, ok && n.Validate() == nil
}
