package linear

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/easyflake/easyflake/pool"
)

// unknown is the outcome of a request that was given up, or broken off by the end
// of a server: it was carried out, or is yet to be, or never is.
const unknown verdict = "unknown"

// exhausted is a refusal by the namespace.
const exhausted verdict = "exhausted"

// What is asked for.
type (
	acquisition struct{ token pool.Token }
	restart     struct{}
)

// request is an input of the model.
type request struct {
	what any   // an acquisition, a pool.Renewal, a pool.Release or a restart
	at   int64 // by the pools' clock
}

// reply is an output of the model.
type reply struct {
	verdict verdict
	grant   pool.Grant
	retry   time.Duration
	at      int64 // by the pools' clock
	index   int   // of an unknown one, among those
}

// history is what was asked and answered.
type history struct {
	scene

	stamp atomic.Int64 // orders calls and returns

	mu         sync.Mutex // owns the fields below
	operations []porcupine.Operation
	times      []int64   // all that the clock has shown
	loose      []request // those with an unknown outcome
}

func newHistory(s scene) *history { return &history{scene: s, times: []int64{s.clock.Now()}} }

// pass lets time pass.
func (h *history) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.times = append(h.times, h.clock.Now()+int64(d))
	h.clock.Advance(d)
}

// call is a request under way.
type call struct {
	client  int
	request request
	stamp   int64
}

func (h *history) begin(client int, what any) call {
	// First the clock, then the stamp: what a request saw of the time may be older
	// than when it began, never the other way round.
	at := h.clock.Now()
	return call{client, request{what, at}, h.stamp.Add(1)}
}

// end takes down a reply. A request whose outcome is unknown is taken down as if it
// only told the pool of itself: what it may do later is a matter of the model.
func (h *history) end(c call, r reply) {
	ended := h.stamp.Add(1)
	r.at = h.clock.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.verdict == unknown {
		ended = c.stamp
		r.index = len(h.loose)
		h.loose = append(h.loose, c.request)
	}
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: c.client, Input: c.request, Call: c.stamp, Output: r, Return: ended,
	})
}

// replyOf translates what a pool has returned; false for an error that says
// nothing about what became of the request.
func replyOf(g pool.Grant, err error, success verdict) (reply, bool) {
	if err == nil {
		return reply{verdict: success, grant: g}, true
	}
	if e, ok := errors.AsType[*pool.ExhaustedError](err); ok {
		return reply{verdict: exhausted, retry: e.RetryAfter}, true
	}
	if e, ok := errors.AsType[*pool.NotYetError](err); ok {
		return reply{verdict: early, retry: e.RetryAfter}, true
	}
	switch {
	case errors.Is(err, pool.ErrLeaseLost):
		return reply{verdict: lost}, true
	case errors.Is(err, pool.ErrBadSeal):
		return reply{verdict: badSeal}, true
	}
	return reply{}, false
}

// byNode returns what concerns each node. Who was granted one was told nothing of
// the others; who was refused, of all.
func (h *history) byNode(all []porcupine.Operation) [][]porcupine.Operation {
	parts := make([][]porcupine.Operation, h.namespace.Ranges[0].Last+1)
	for _, op := range all {
		r, _ := op.Input.(request)
		out, _ := op.Output.(reply)
		only := int64(-1)
		switch what := r.what.(type) {
		case acquisition:
			if out.verdict == granted {
				only = out.grant.Node
			}
		case pool.Renewal:
			only = what.Node
		case pool.Release:
			only = what.Node
		}
		for i := range parts {
			if only == -1 || only == int64(i) {
				parts[i] = append(parts[i], op)
			}
		}
	}
	return parts
}

// state is a node, and which loose requests may still be carried out.
type state struct {
	node  node
	loose uint64
}

// states are all that a node can be.
type states map[state]bool

// model is the specification of one node of a history. Where a request's outcome is
// unknown there are several things that the node can be, and it goes on with all of
// them: porcupine's own way to do so compares each with each, which takes minutes
// where there are thousands.
func (h *history) model() porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Partition: h.byNode,
		Init:      func() any { return states{state{}: true} },
		Step: func(before, input, output any) (bool, any) {
			from, _ := before.(states)
			in, _ := input.(request)
			out, _ := output.(reply)
			after := h.after(from, in, out)
			return len(after) > 0, after
		},
		Equal: func(a, b any) bool {
			x, _ := a.(states)
			y, _ := b.(states)
			return maps.Equal(x, y)
		},
		Hash: func(of any) (sum uint64) {
			all, _ := of.(states)
			for s := range all {
				sum ^= maphash.Comparable(seed, s)
			}
			return sum
		},
		DescribeOperation: describe,
		DescribeState: func(of any) string {
			all, _ := of.(states)
			var texts []string
			for s := range all {
				n := s.node
				texts = append(texts, fmt.Sprintf("%v [%d, %d) #%d, on disk until %d #%d", n.now.holder, n.now.from, n.now.until, n.now.renewals, n.disk.until, n.disk.renewals))
			}
			slices.Sort(texts)
			return strings.Join(texts, " or ")
		},
	}
}

// after returns what a node can be after a request with this reply.
func (h *history) after(before states, in request, out reply) states {
	after := make(states, len(before))
	if out.verdict == unknown {
		for s := range before {
			after[state{s.node, s.loose | 1<<out.index}] = true
		}
		return after
	}
	for s := range h.settle(before, out.at) {
		if _, ok := in.what.(restart); ok {
			loose := uint64(0)
			if h.terms.shared {
				loose = s.loose // a server may still be at what a dead process has sent
			}
			for _, n := range h.terms.forget(s.node, false) {
				after[state{n, loose}] = true
			}
		} else if next, ok := h.step(s.node, in, out); ok {
			after[state{next, s.loose}] = true
		}
	}
	return after
}

// settle returns all that can have become of a node by loose requests, until a time.
// They are served at any time since they were made, in any order, or never; and the
// pool, which does not know either whether it has written, may read the node again.
func (h *history) settle(before states, until int64) states {
	all := maps.Clone(before)
	for queue := slices.Collect(maps.Keys(before)); len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if s.loose == 0 {
			continue
		}
		var next []state
		for _, n := range h.terms.forget(s.node, true) {
			next = append(next, state{n, s.loose})
		}
		for i, in := range h.loose {
			if s.loose&(1<<i) == 0 {
				continue
			}
			for _, at := range h.times {
				if at < in.at || at > until {
					continue
				}
				if n, v := h.serve(s.node, in, at); v == granted || v == done {
					next = append(next, state{n, s.loose &^ (1 << i)})
					for _, n := range h.terms.forget(n, true) {
						next = append(next, state{n, s.loose &^ (1 << i)})
					}
				}
			}
		}
		for _, s := range next {
			if !all[s] {
				all[s] = true
				queue = append(queue, s)
			}
		}
	}
	return all
}

// step returns the node after a request with this reply; false where there can be no
// such reply.
func (h *history) step(n node, in request, out reply) (node, bool) {
	if h.terms.shared && out.verdict == exhausted {
		return n, true // it may be remembered, for a second
	}
	at := out.grant.Now
	if out.verdict != granted {
		at = in.at // any later time makes a refusal less likely
	}
	if at < in.at || at > out.at {
		return n, false // by a time that it was not during the request
	}
	next, v := h.serve(n, in, at)
	switch {
	case out.verdict == exhausted && v == taken:
		// Not free before the namespace says that one may be.
		return next, h.terms.begin(n.now.until) >= in.at+int64(out.retry)
	case out.verdict == early && v == taken:
		return next, true
	case out.verdict == early && v == early:
		from, _ := h.terms.window(n.now, at)
		return next, int64(out.retry) <= max(1, h.terms.begin(from)-in.at)
	case v == granted && out.verdict == granted:
		l, g := next.now, out.grant
		return next, g.Token == l.holder && g.From == l.from && g.Until == l.until && g.Revision == l.renewals
	}
	return next, v == out.verdict
}

// serve applies the rule that a request is for.
func (h *history) serve(n node, in request, at int64) (node, verdict) {
	switch what := in.what.(type) {
	case acquisition:
		return h.terms.acquire(n, what.token, at)
	case pool.Renewal:
		return h.terms.renew(n, what, at)
	case pool.Release:
		return release(n, what)
	}
	return n, unknown
}

// tenancy is the lease that a token has, if any.
type tenancy struct {
	has               bool
	node, from, until int64
}

// tokenModel is the specification of one token: whoever asks again has the lease
// that it had.
func (h *history) tokenModel() porcupine.Model {
	return porcupine.Model{
		Partition: h.byToken,
		Init:      func() any { return tenancy{} },
		Step: func(state, input, output any) (bool, any) {
			s, _ := state.(tenancy)
			in, _ := input.(request)
			out, _ := output.(reply)
			return h.tokenStep(s, in, out)
		},
		DescribeOperation: describe,
	}
}

func (h *history) tokenStep(s tenancy, in request, out reply) (bool, tenancy) {
	switch what := in.what.(type) {
	case acquisition:
		if out.verdict != granted {
			// At any moment of the request, so at the latest. A pool that shares its
			// store remembers for a second that all nodes are taken, and may not know
			// that one of them is this token's.
			return h.terms.shared || !s.has || h.terms.tick(out.at) >= s.until, s
		}
		g := out.grant
		same := g.Node == s.node && g.From == s.from
		if s.has && !same && h.terms.tick(g.Now) < s.until {
			return false, s
		}
		return true, tenancy{true, g.Node, g.From, g.Until}
	case pool.Renewal:
		if out.verdict == granted && s.has && s.node == what.Node {
			s.until = max(s.until, out.grant.Until)
		}
	case pool.Release:
		if out.verdict == done && s.node == what.Node {
			s.has = false
		}
	}
	return true, s
}

// byToken returns what was asked for with each token, without those of which it is
// not known in which order they were served.
func (h *history) byToken(all []porcupine.Operation) [][]porcupine.Operation {
	of := make(map[pool.Token][]porcupine.Operation)
	for _, op := range all {
		r, _ := op.Input.(request)
		switch what := r.what.(type) {
		case acquisition:
			of[what.token] = append(of[what.token], op)
		case pool.Renewal:
			of[what.Token] = append(of[what.Token], op)
		case pool.Release:
			of[what.Token] = append(of[what.Token], op)
		}
	}
	var parts [][]porcupine.Operation
	for _, part := range of {
		if !muddled(part) {
			parts = append(parts, part)
		}
	}
	slices.SortFunc(parts, func(a, b []porcupine.Operation) int { return int(a[0].Call - b[0].Call) })
	return parts
}

// muddled reports whether the outcome of a request is not known, or two acquired at
// the same time.
func muddled(part []porcupine.Operation) bool {
	last := int64(-1) // when the last acquisition ended
	part = slices.SortedFunc(slices.Values(part), func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	for _, op := range part {
		r, _ := op.Input.(request)
		if out, _ := op.Output.(reply); out.verdict == unknown {
			return true
		}
		if _, ok := r.what.(acquisition); ok {
			if op.Call < last {
				return true
			}
			last = max(last, op.Return)
		}
	}
	return false
}

func describe(input, output any) string {
	in, _ := input.(request)
	out, _ := output.(reply)
	var b strings.Builder
	switch what := in.what.(type) {
	case acquisition:
		fmt.Fprintf(&b, "acquire(%v)", what.token)
	case pool.Renewal:
		fmt.Fprintf(&b, "renew(%d, %v, #%d, until %d, nonce %v)", what.Node, what.Token, what.Revision, what.Until, what.Nonce)
	case pool.Release:
		fmt.Fprintf(&b, "release(%d, %v, last %d)", what.Node, what.Token, what.Last)
	case restart:
		return "restart"
	}
	fmt.Fprintf(&b, " → %s", out.verdict)
	if g := out.grant; out.verdict == granted {
		fmt.Fprintf(&b, " %d [%d, %d) #%d at %d", g.Node, g.From, g.Until, g.Revision, g.Now-in.at)
	}
	if out.retry != 0 {
		fmt.Fprintf(&b, ", retry after %v", out.retry)
	}
	return b.String()
}

// patience bounds the search for an order, which takes milliseconds, rarely seconds.
const patience = 3 * time.Minute

// flaw is a part of a history that nothing explains.
type flaw struct {
	what string
	text string
	info porcupine.LinearizationInfo
	by   porcupine.Model
}

// judge returns what is wrong with a history, nil where it is linearizable.
func (h *history) judge() *flaw {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, m := range map[string]porcupine.Model{"node": h.model(), "token": h.tokenModel()} {
		if porcupine.CheckOperationsTimeout(m, h.operations, patience) == porcupine.Ok {
			continue
		}
		// Once more, part by part, for the one that is to be shown.
		parts := m.Partition
		m.Partition = nil
		for i, part := range parts(h.operations) {
			result, info := porcupine.CheckOperationsVerbose(m, part, patience)
			if result == porcupine.Ok {
				continue
			}
			what := fmt.Sprintf("%s %d: no order found, nor that there is none, in %v", name, i, patience)
			if result == porcupine.Illegal {
				what = fmt.Sprintf("%s %d: not linearizable", name, i)
			}
			return &flaw{what, text(part, info), info, m}
		}
	}
	return nil
}

// text is a history to read, by the beginnings, with a mark at what the longest order
// found has no place for.
func text(part []porcupine.Operation, info porcupine.LinearizationInfo) string {
	placed := make(map[int64]bool)
	for _, orders := range info.PartialLinearizationsOperations() {
		longest := slices.MaxFunc(append(orders, nil), func(a, b []porcupine.Operation) int { return len(a) - len(b) })
		for _, op := range longest {
			placed[op.Call] = true
		}
	}
	var b strings.Builder
	for _, op := range slices.SortedFunc(slices.Values(part), func(a, b porcupine.Operation) int { return int(a.Call - b.Call) }) {
		mark := "!"
		if placed[op.Call] {
			mark = " "
		}
		fmt.Fprintf(&b, "%s %4d-%-4d client %d: %s\n", mark, op.Call, op.Return, op.ClientId, describe(op.Input, op.Output))
	}
	return b.String()
}
