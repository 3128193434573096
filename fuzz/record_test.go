package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

const (
	theName = "n"
	theNode = 7 // the only one that is leased
)

// FuzzNodeRecord puts arbitrary bytes where a node's record belongs, and looks for a
// pool that panics, that does anything with a record that is none, or that gives the
// node away before the record allows it.
func FuzzNodeRecord(f *testing.F) {
	l := layout.Default()
	now := theTick(l)
	record := func(token string, from, until, highest int64, rest string) []byte {
		if token != "" {
			token = `,"token":"` + token + `"`
		}
		return fmt.Appendf(nil, `{"v":1%s,"from":%d,"until":%d,"before":5,"highest":%d,"window_ns":10000000000,"revision":3%s}`, token, from, until, highest, rest)
	}
	const token = "0102030405060708090a0b0c0d0e0f10"
	good := record(token, now-100, now+5000, now+60000, `,"nonce":"ffeeddccbbaa99887766554433221100"`)
	for op := range uint8(5) {
		f.Add(op%2 == 0, op, now+2, good)
		f.Add(op%2 == 1, op, now-101, good)
		f.Add(op%2 == 0, op, int64(-1), record(token, 90, 200, 250, `,"revoked":true`))
		f.Add(op%2 == 1, op, int64(0), record("", 0, 0, 10, `,"retired":true`))
		f.Add(op%2 == 0, op, now, record("", 100, now+1, now+1, ""))
		f.Add(op%2 == 1, op, now, record("", 100, now+1000, l.MaxTick()+1, ""))
	}
	for _, bad := range [][]byte{
		nil, []byte("{}"), []byte("null"), []byte("5"), []byte(`{"v":1}`), good[:len(good)-1], good[:40], append(bytes.Clone(good), good...),
		bytes.Replace(good, []byte(`"v":1`), []byte(`"v":2`), 1), bytes.Replace(good, []byte(`"before":5,`), nil, 1),
		bytes.Replace(good, []byte(`"until"`), []byte(`"until":7,"until"`), 1), record("", 0, math.MaxInt64, math.MaxInt64, ""),
		record("", 0, 3, 2, ""), record(token, 3, 3, 3, ""), record(strings.Repeat("0", 32), 1, 2, 3, ""),
	} {
		f.Add(false, uint8(0), int64(0), bad)
		f.Add(true, uint8(1), int64(0), bad)
	}
	f.Fuzz(func(t *testing.T, exclusive bool, op uint8, last int64, record []byte) {
		s := pool.NewMemory(stopped(), exclusive)
		ns := pool.NewNamespace(theName, l)
		ns.Ranges = []pool.Range{{First: theNode, Last: theNode}}
		if err := newPool(s).CreateNamespace(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		write(t, s, theName, theNode, false, record)
		p := newPool(s)
		was, ok := readNode(record, l)
		if !ok {
			leavesAlone(t, s, p, l, record)
			return
		}
		was.Number = theNode
		lists(t, p, was)
		next := served(t, p, &was, op, last)
		grants(t, p, ns, was, next)
		after, there := stored(t, s, theName, theNode)
		if n, ok := readNode(after.Value, l); !there || !ok || n.Highest < was.Highest {
			t.Fatalf("%s became %s", record, after.Value)
		}
	})
}

// leavesAlone makes sure that nothing can be done with what is no record, and that
// it is still there afterwards.
func leavesAlone(t *testing.T, s pool.Store, p *pool.Local, l layout.Layout, record []byte) {
	t.Helper()
	mine := tokenOf(9)
	_, acquired := p.Acquire(t.Context(), theName, l, mine)
	_, renewed := p.Renew(t.Context(), pool.Renewal{Namespace: theName, Node: theNode, Token: mine})
	for what, err := range map[string]error{
		"acquire": acquired,
		"renew":   renewed,
		"release": p.Release(t.Context(), pool.Release{Namespace: theName, Node: theNode, Token: mine}),
		"revoke":  p.Revoke(t.Context(), theName, theNode),
		"retire":  p.Retire(t.Context(), theName, theNode),
	} {
		if e, ok := errors.AsType[*pool.RecordError](err); !ok || e.What == "" || e.Reason == "" {
			t.Fatalf("%s on %q: %v", what, record, err)
		}
	}
	seen := 0
	for _, err := range p.List(t.Context(), theName) {
		seen++
		if _, ok := errors.AsType[*pool.RecordError](err); !ok {
			t.Fatalf("the list has %q: %v", record, err)
		}
	}
	if is, there := stored(t, s, theName, theNode); seen != 1 || !there || !bytes.Equal(is.Value, record) {
		t.Fatalf("%q became %q; it was listed %d times", record, is.Value, seen)
	}
}

// lists makes sure that an operator sees what a record says.
func lists(t *testing.T, p *pool.Local, was pool.Node) {
	t.Helper()
	seen := 0
	for info, err := range p.List(t.Context(), theName) {
		seen++
		if err != nil || info.Node != theNode || info.From != was.From || info.Until != was.Until ||
			info.Revoked != was.Revoked || info.Retired != was.Retired || (info.Holder == "") != was.Token.IsZero() {
			t.Fatalf("%+v is listed as %+v (%v)", was, info, err)
		}
	}
	if seen != 1 {
		t.Fatalf("%+v is listed %d times", was, seen)
	}
}

// served lets the holder, or an operator, do something first. It keeps what is
// known of the record up to date, and returns the first tick that another may be
// granted then.
func served(t *testing.T, p *pool.Local, was *pool.Node, op uint8, last int64) (next int64) {
	t.Helper()
	held := !was.Token.IsZero()
	switch op % 5 {
	case 1:
		r := pool.Renewal{Namespace: theName, Node: theNode, Token: was.Token, Revision: was.Revision, Until: was.Until, Nonce: tokenOf(8)}
		g, err := p.Renew(t.Context(), r)
		if (err == nil) != (held && !was.Revoked && !was.Retired) {
			t.Fatalf("%+v is renewed: %+v, %v", was, g, err)
		}
		if err != nil {
			break
		}
		if g.From != was.From || g.Until < was.Until || g.Token != was.Token {
			t.Fatalf("%+v is renewed to %+v", was, g)
		}
		was.Until = g.Until
	case 2:
		err := p.Release(t.Context(), pool.Release{Namespace: theName, Node: theNode, Token: was.Token, Last: last})
		if (err == nil) != (held && last >= was.From-1 && last < was.Until) {
			t.Fatalf("%+v is released at %d: %v", was, last, err)
		}
		if err != nil {
			break
		}
		was.Token, was.Revoked, was.Until = pool.Token{}, false, last+1
		if last < was.From {
			was.Until = was.Before
		}
	case 3:
		if err := p.Revoke(t.Context(), theName, theNode); (err == nil) != held {
			t.Fatalf("%+v is revoked: %v", was, err)
		}
		was.Revoked = held || was.Revoked
	case 4:
		if err := p.Retire(t.Context(), theName, theNode); err != nil {
			t.Fatalf("%+v is retired: %v", was, err)
		}
		was.Retired = true
	}
	return was.Until
}

// grants asks for the node as a stranger, who must get it where that is possible, and
// no tick that was not free before.
func grants(t *testing.T, p *pool.Local, ns pool.Namespace, was pool.Node, next int64) {
	t.Helper()
	l, mine := ns.Layout, tokenOf(9)
	if was.Token == mine {
		mine = tokenOf(10)
	}
	g, err := p.Acquire(t.Context(), ns.Name, l, mine)
	now := theTick(l)
	free := !was.Retired && (was.Token.IsZero() || next <= now) && next <= now+1
	if free != (err == nil) {
		t.Fatalf("%+v is granted: %+v, %v", was, g, err)
	}
	if err != nil {
		return
	}
	if g.From < next || g.From >= g.Until || g.Node != theNode || g.Token != mine || l.Time(g.Until).After(theTime().Add(ns.Terms.Horizon)) {
		t.Fatalf("after %+v, of which %d is the next free tick, %+v is granted", was, next, g)
	}
}

// FuzzNamespaceRecord puts arbitrary bytes where a namespace's record belongs, and
// looks for a pool that panics, that takes what is no record for one, or that grants
// what the record does not allow.
func FuzzNamespaceRecord(f *testing.F) {
	const head, tail = `{"v":1,"layout":"epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8","ranges":`, `,"skew_ns":1000000000,"first_window_ns":10000000000,"window_ns":60000000000,"horizon_ns":120000000000,"floor":`
	good := head + `[{"first":0,"last":255,"use":"leased"}]` + tail + `0}`
	floor := strconv.FormatInt(theTick(layout.Default())+1, 10)
	for _, text := range []string{
		good, head + `null` + tail + `0}`, head + `[]` + tail + `0}`, strings.Replace(good, `"v":1`, `"v":2`, 1), good + good, good[:len(good)-1], good[:60], "", "{}", "null",
		head + `[{"first":10,"last":19,"use":"by-hand"},{"first":0,"last":9,"use":"leased","floor":` + floor + `},{"first":20,"last":20,"use":"legacy"}]` + tail + floor + `}`,
		head + `[{"first":3,"last":3,"use":"leased"},{"first":3,"last":4,"use":"leased"}]` + tail + `0}`,
		head + `[{"first":0,"last":256,"use":"leased"}]` + tail + `0}`, strings.Replace(good, `"floor":0`, `"floor":-1`, 1),
		strings.Replace(good, `"floor":0`, `"floor":99999999999999`, 1), strings.Replace(good, "node=8,", "node=8 ,", 1),
		strings.Replace(good, "unit=1ms,time=47", "unit=1h,time=20", 1), strings.Replace(good, `"window_ns":6`, `"window_ns":1`, 1),
		`{"v":1,"layout":"epoch=2023-02-08T12:24:00Z,unit=1ms,time=41,node=22,sequence=0","ranges":[{"first":0,"last":4194303,"use":"leased","floor":2199023255551}]` + tail + `0}`,
	} {
		f.Add(false, []byte(text))
		f.Add(true, []byte(text))
	}
	f.Fuzz(func(t *testing.T, exclusive bool, record []byte) {
		s := pool.NewMemory(stopped(), exclusive)
		write(t, s, theName, 0, true, record)
		p := newPool(s)
		all, err := p.Namespaces(t.Context())
		ns, ok := readNamespace(theName, record)
		if !ok {
			l := layout.Default()
			_, acquired := p.Acquire(t.Context(), theName, l, tokenOf(1))
			for _, err := range []error{err, acquired, p.Check(t.Context()), p.Retire(t.Context(), theName, 0), p.EnsureNamespace(t.Context(), pool.NewNamespace(theName, l))} {
				if _, ok := errors.AsType[*pool.RecordError](err); !ok {
					t.Fatalf("%q: %v", record, err)
				}
			}
			if is, err := s.Namespace(t.Context(), theName); err != nil || !bytes.Equal(is.Value, record) {
				t.Fatalf("%q became %q (%v)", record, is.Value, err)
			}
			return
		}
		if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], ns) {
			t.Fatalf("%s is read as %+v (%v)", record, all, err)
		}
		g, err := p.Acquire(t.Context(), theName, ns.Layout, tokenOf(1))
		if err != nil {
			return
		}
		allowed(t, ns, g)
		r := pool.Renewal{Namespace: theName, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: tokenOf(2)}
		longer, err := p.Renew(t.Context(), r)
		if err != nil || longer.From != g.From || longer.Until < g.Until {
			t.Fatalf("%s: %+v is renewed to %+v (%v)", record, g, longer, err)
		}
		allowed(t, ns, longer)
	})
}

// allowed makes sure that a grant, made now, is one that its namespace allows.
func allowed(t *testing.T, ns pool.Namespace, g pool.Grant) {
	t.Helper()
	least := ns.Floor
	found := false
	for _, r := range ns.Ranges {
		if r.First <= g.Node && g.Node <= r.Last && r.Use == pool.Leased {
			found, least = true, max(least, r.Floor)
		}
	}
	end := ns.Layout.Time(g.Until)
	if !found || g.From < least || g.From >= g.Until || g.Until > ns.Layout.MaxTick()+1 || end.After(time.Unix(0, g.Now).Add(ns.Terms.Horizon)) ||
		ns.Layout.Time(g.From).Before(time.Unix(0, g.Now).Add(-ns.Terms.Skew)) && ns.Layout.Time(g.From).After(ns.Layout.Epoch()) {
		t.Fatalf("%+v is granted in %+v", g, ns)
	}
}

// FuzzStoredTimes puts arbitrary bytes where a store keeps the time that a pool has
// seen, and when it was in doubt. What cannot be read must grant nothing; what can
// must be obeyed.
func FuzzStoredTimes(f *testing.F) {
	now := theTime().UnixNano()
	for _, text := range []string{"", "0", "-1", "+5", "007", " 1", "x", "9223372036854775807", "9223372036854775808", strconv.FormatInt(now, 10), strconv.FormatInt(now+3600e9, 10), "1e9"} {
		f.Add(text, "0")
		f.Add("0", text)
	}
	f.Fuzz(func(t *testing.T, mark, doubt string) {
		l := layout.Default()
		s := pool.NewMemory(stopped(), false)
		write(t, s, ".", 0, true, []byte(doubt))
		p := newPool(s)
		ns := pool.NewNamespace(theName, l)
		doubted, err := strconv.ParseInt(doubt, 10, 64)
		readable := err == nil && doubted >= 0
		if err := p.CreateNamespace(t.Context(), ns); (err == nil) != readable {
			t.Fatalf("in doubt since %q, a namespace is created: %v", doubt, err)
		}
		if !readable {
			return
		}
		write(t, s, theName, -1, false, []byte(mark)) // no node has this number
		g, err := p.Acquire(t.Context(), theName, l, tokenOf(1))
		marked, wrong := strconv.ParseInt(mark, 10, 64)
		if wrong != nil || marked < 0 {
			if _, ok := errors.AsType[*pool.RecordError](err); !ok {
				t.Fatalf("the time noted is %q, and yet: %+v, %v", mark, g, err)
			}
			return
		}
		if err != nil {
			return
		}
		if g.Now < marked || doubted > 0 && l.Time(g.From).Before(time.Unix(0, doubted).Add(ns.Terms.Horizon)) {
			t.Fatalf("in doubt since %q, with the time %q noted, %+v is granted", doubt, mark, g)
		}
		allowed(t, ns, g)
	})
}
