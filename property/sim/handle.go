package sim

import (
	"context"
	"errors"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// handle is the store as a server has it: an engine, and what is between the two.
type handle struct{ *instance }

var _ pool.Store = handle{}

type requestKey struct{}

var (
	errStore    = errors.New("sim: the store does not answer")
	errPoisoned = errors.New("sim: a write failed; open the store again")
)

// read asks the store something.
func (h handle) read(ctx context.Context, key string, ask func()) error {
	switch {
	case h.dead:
		return errDead
	case h.failed:
		return errPoisoned
	case h.quiet || h.rng.IntN(1000) >= h.p.SlowStore && !h.v.apart:
		ask()
		return nil
	}
	var fault error
	err := h.wait(ctx, key, -1, func(resume func(int64)) {
		if h.v.apart && !h.p.Exclusive {
			fault = errStore
			resume(between(h.rng, int64(time.Millisecond), int64(5*time.Second)))
			return
		}
		h.after(h.delay(), nil, func() { // an answer may be old when it comes
			if h.engine.life != h.life && !h.p.Exclusive {
				fault = errStore
			} else {
				ask()
			}
			resume(h.delay())
		})
	})
	if err != nil {
		return err
	}
	return fault
}

// wait parks a server's goroutine until plan has it resumed.
func (h handle) wait(ctx context.Context, key string, node int64, plan func(resume func(d int64))) error {
	r, _ := ctx.Value(requestKey{}).(*request)
	return h.park("store "+key, node, func(k *parked) {
		if r != nil {
			r.node = node
		}
		plan(func(d int64) {
			h.after(d, h.process, func() {
				if r != nil {
					if top := h.busy[len(h.busy)-1]; top != r { // others are served in between
						r.due = k
						return
					}
					r.node = -1
				}
				k.resume()
			})
		})
	})
}

// delay is what a call of the store takes, one way.
func (h handle) delay() int64 {
	d := between(h.rng, int64(10*time.Microsecond), int64(20*time.Millisecond))
	if !h.quiet && chance(h.rng, 10) {
		d += between(h.rng, int64(10*time.Millisecond), int64(h.p.Terms.Horizon))
	}
	return d
}

// Namespaces implements [pool.Store].
func (h handle) Namespaces(ctx context.Context) (names []string, err error) {
	err = h.read(ctx, "namespaces", func() { names = h.engine.namespaces() })
	return names, err
}

// Namespace implements [pool.Store].
func (h handle) Namespace(ctx context.Context, name string) (r pool.Record, err error) {
	err = h.read(ctx, "namespace", func() { r = h.engine.namespace(name) })
	return r, err
}

// Nodes implements [pool.Store].
func (h handle) Nodes(ctx context.Context, name string, first, last int64) (found []pool.NodeRecord, err error) {
	err = h.read(ctx, "nodes", func() { found = h.engine.nodes(name, first, last) })
	return found, err
}

// Now implements [pool.Store].
func (h handle) Now(ctx context.Context) (now int64, err error) {
	err = h.read(ctx, "now", func() {
		now = h.v.clock().at(h.now)
	})
	return now, err
}

// Exclusive implements [pool.Store].
func (h handle) Exclusive() bool { return h.p.Exclusive }

// Close implements [pool.Store].
func (h handle) Close() error { return nil }

// fate is what becomes of a write.
type fate uint8

const (
	made       fate = iota
	lostBefore      // an error, and it is not made
	lostAfter       // an error, and it is made
	late            // an error, and it is made later
	crashBefore
	crashTorn
	crashAfter
)

// Write implements [pool.Store].
func (h handle) Write(ctx context.Context, w pool.Write) (revision uint64, err error) {
	trouble := !h.quiet && chance(h.rng, h.p.StoreTrouble)
	told := false // by an operator
	if r, _ := ctx.Value(requestKey{}).(*request); r != nil && r.op == administering && !w.OfNamespace {
		told = h.p.StoreTrouble > 0 && !h.quiet && h.rng.IntN(2) == 0
	}
	switch {
	case h.dead:
		return 0, errDead
	case h.failed:
		return 0, errPoisoned
	case !trouble && !told && !(h.v.apart && !h.p.Exclusive) && h.rng.IntN(1000) >= h.p.SlowStore:
		return h.acknowledge(w)
	}
	fate := made
	if told {
		fate = late // of which there is little else
	} else if trouble {
		fate = pick(h.rng, lostBefore, lostAfter, late, crashBefore, crashTorn, crashAfter)
	}
	if h.v.apart && !h.p.Exclusive {
		fate = lostBefore
	}
	w.Value = append([]byte(nil), w.Value...)
	node := int64(-1)
	if !w.OfNamespace {
		node = w.Node
	}
	var out outcome
	err = h.wait(ctx, "write", node, func(resume func(int64)) { h.plan(w, fate, &out, resume) })
	if err != nil {
		return 0, err
	}
	return out.revision, out.err
}

var _ pool.WriteBeginner = handle{}

// BeginWrite implements [pool.WriteBeginner]: the write is made when somebody waits
// for it, with all that can become of one, or some time before; then, or if that
// fails, nobody hears of it.
func (h handle) BeginWrite(w pool.Write) func(context.Context) (uint64, error) {
	w.Value = append([]byte(nil), w.Value...)
	h.count.WritesBegun++
	done := false
	var out outcome
	h.arrive("begins a write", w.Node, func() {
		h.after(between(h.rng, int64(time.Millisecond), int64(h.p.Terms.Horizon)), h.process, func() {
			if done || h.failed {
				return
			}
			done = true
			out.revision, out.err = h.apply(w)
			h.count.WritesUnasked++
			if !h.quiet && chance(h.rng, h.p.StoreTrouble) {
				out = outcome{err: errStore}
			} else if out.err == nil {
				h.ghost.sync()
			}
		})
	})
	return func(ctx context.Context) (uint64, error) {
		switch {
		case h.dead:
			return 0, errDead
		case done:
			return out.revision, out.err
		}
		done = true
		return h.Write(ctx, w)
	}
}

// outcome is what a write has come to.
type outcome struct {
	revision uint64
	err      error
}

// plan plans a write. A shared engine makes it whatever becomes of the server
// meanwhile; an exclusive one is part of the server.
func (h handle) plan(w pool.Write, fate fate, out *outcome, resume func(int64)) {
	host := h.process
	if !h.p.Exclusive {
		host = nil
	}
	failed := func() {
		h.count.WritesFailed++
		if h.p.Exclusive && h.rng.IntN(2) == 0 {
			h.failed = true
			v := h.v
			h.after(between(h.rng, int64(time.Millisecond), int64(3*time.Second)), h.process, func() { v.restart(0) })
		}
		*out = outcome{err: errStore}
		resume(h.delay())
	}
	d := h.delay()
	switch fate {
	case made:
		h.after(d, host, func() {
			out.revision, out.err = h.acknowledge(w)
			resume(h.delay())
		})
	case lostBefore:
		h.after(d, nil, failed)
	case lostAfter:
		h.after(d, host, func() {
			out.revision, out.err = h.apply(w)
			failed()
		})
	case late:
		h.count.WritesLate++
		h.after(d, nil, failed)
		h.after(d+between(h.rng, int64(time.Millisecond), int64(h.p.Terms.Horizon)), host, func() { _, _ = h.apply(w) })
	case crashBefore, crashTorn, crashAfter:
		v := h.v
		h.after(d, h.process, func() {
			h.count.CrashesInWrite++
			switch fate {
			case crashTorn:
				h.count.WritesTorn++
				if h.engine.life == h.life && h.engine.torn(w, h.rng) {
					h.wrote(w)
				}
			case crashAfter:
				_, _ = h.apply(w)
			}
			v.crash()
			v.rise()
		})
	}
}

// acknowledge makes a write that whoever asked for it is told of. The store has waited
// for its disk then, and so for all that was written before.
func (h handle) acknowledge(w pool.Write) (uint64, error) {
	revision, err := h.apply(w)
	if err == nil {
		h.ghost.sync()
	}
	return revision, err
}

// apply makes a write in the engine.
func (h handle) apply(w pool.Write) (uint64, error) {
	if h.engine.life != h.life {
		return 0, errStore
	}
	revision, err := h.engine.write(w)
	if err != nil {
		h.count.Conflicts++
	} else {
		h.wrote(w)
	}
	return revision, err
}

func (h handle) wrote(w pool.Write) {
	if w.OfNamespace {
		if before := h.ghost.floor; h.ghost.floorNow() > before {
			h.count.FloorsRaised++
		}
	} else if w.Node >= 0 { // else it is the namespace's latest time
		h.ghost.wrote(w.Node, w.Value)
	}
}
