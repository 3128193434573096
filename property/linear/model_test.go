package linear

import (
	"github.com/easyflake/easyflake/pool"
)

// terms are a namespace's, as plain numbers of nanoseconds.
type terms struct {
	epoch, unit              int64
	skew, first, full, ahead int64 // ahead is the horizon

	// shared says that others write to the store too: nothing is written ahead, and
	// what the pool goes by is what the disk has.
	shared bool
	_      struct{}
}

// tick returns the tick that a time is in.
func (t terms) tick(at int64) int64 { return (at - t.epoch) / t.unit }

// next returns the first tick that does not begin before a time.
func (t terms) next(at int64) int64 { return (at - t.epoch + t.unit - 1) / t.unit }

// begin returns when a tick begins.
func (t terms) begin(tick int64) int64 { return t.epoch + tick*t.unit }

// lease is who has a node, and for how long.
type lease struct {
	holder pool.Token // zero: nobody
	// from and until are the window; before is what until was before that.
	from, until, before int64
	length              int64 // what the window was last made to reach, ns
	renewals            uint64
	nonce               pool.Token // the last renewal's
}

// node is a node as the pool goes by it, and as its disk has it.
type node struct {
	now, disk lease
	// reread says that now was read from the disk, so that renewals may be missing
	// from it.
	reread bool
	// owing says that a write was given up, so that the next change is written
	// whatever it is.
	owing bool
	// begun is a write ahead that nobody has waited for; the zero lease if there is
	// none. Whether a disk has it by now, nobody knows.
	begun lease
}

// verdict is what a rule says to a request.
type verdict string

const (
	granted verdict = "granted"
	taken   verdict = "taken"
	early   verdict = "not yet"
	lost    verdict = "lost"
	badSeal verdict = "bad seal"
	done    verdict = "done"
)

// write returns the node with a lease on it that the disk has too.
func write(l lease) node { return node{now: l, disk: l} }

// forget returns the node as the disk may have it: without the write begun, and with it.
func (n node) forget(owing bool) []node {
	all := []node{{now: n.disk, disk: n.disk, reread: true, owing: owing}}
	if n.begun != (lease{}) {
		all = append(all, node{now: n.begun, disk: n.begun, reread: true, owing: owing})
		if owing {
			all[0].begun = n.begun // it may still be made
		}
	}
	return all
}

// forget is n.forget, where there is anything to forget.
func (t terms) forget(n node, owing bool) []node {
	if t.shared {
		return []node{n}
	}
	return n.forget(owing)
}

// acquire leases the node to a token, at a time.
func (t terms) acquire(n node, token pool.Token, at int64) (node, verdict) {
	l := n.now
	switch {
	case l.holder == token && n.owing:
		return write(l), granted
	case l.holder == token:
		return n, granted
	case l.holder != pool.Token{} && t.tick(at) < l.until:
		return n, taken
	}
	from, until := t.window(l, at)
	if from >= until || t.begin(from) > at+t.unit {
		return n, early
	}
	return write(lease{holder: token, from: from, until: until, before: l.until, length: t.first}), granted
}

// window returns a new holder's window: it begins with the skew before now, but not
// before the last window's end, and is as long as a first one, but not longer than
// the horizon allows.
func (t terms) window(l lease, at int64) (from, until int64) {
	from = max(l.until, t.next(at-t.skew))
	return from, t.tick(min(max(at, t.begin(from))+t.first, at+t.ahead))
}

// renew makes the window longer.
func (t terms) renew(n node, r pool.Renewal, at int64) (node, verdict) {
	l := n.now
	switch {
	case l.holder == pool.Token{} || l.holder != r.Token:
		return n, lost
	case r.Revision == l.renewals:
	case r.Revision+1 == l.renewals && r.Nonce == l.nonce: // the last one, once more
		if n.owing {
			return write(l), granted
		}
		return n, granted
	case n.reread && r.Revision > l.renewals && r.Until <= l.until: // one that was not written
		l.renewals = r.Revision
	default:
		return n, lost
	}
	l.length = min(2*l.length, t.full)
	l.until = max(l.until, t.tick(at+min(l.length, t.ahead)))
	l.renewals++
	l.nonce = r.Nonce
	if t.shared {
		return write(l), granted
	}
	further := l // by a window's length, and no further than a horizon from now
	further.until = max(l.until, t.tick(min(t.begin(l.until)+t.full, at+t.ahead)))
	disk, begun := n.disk, n.begun
	if l.until > disk.until && begun != (lease{}) && !n.owing { // it is waited for
		disk, begun = begun, lease{}
	}
	if l.until > disk.until || n.owing {
		return node{now: l, disk: further}, granted
	}
	// The next renewal, after a third and a tenth of that, would have to be written.
	if begun == (lease{}) && t.begin(l.until)+t.full*2/5 > t.begin(disk.until) && t.begin(further.until) >= t.begin(disk.until)+t.full/3 {
		begun = further
	}
	return node{now: l, disk: disk, begun: begun}, granted
}

// release gives the node back, used up to a tick.
func release(n node, r pool.Release) (node, verdict) {
	l := n.now
	switch {
	case l.holder == pool.Token{} || l.holder != r.Token:
		return n, lost
	case r.Last < l.from-1 || r.Last >= l.until:
		return n, badSeal
	}
	l.until = r.Last + 1
	if r.Last == l.from-1 { // unused
		l.until = l.before
	}
	l.holder = pool.Token{}
	return write(l), done
}
