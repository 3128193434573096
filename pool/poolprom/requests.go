package poolprom

import (
	"maps"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easyflake/easyflake/pool"
)

// What can be asked of a pool.
const (
	opAcquire = iota
	opAcquireLegacy
	opRenew
	opRelease
	opList
	opRevoke
	opRetire
	opNamespaces
	opCreateNamespace
	opAcceptClock
	poolOps
)

func nameOfOp(op int) string {
	return [poolOps]string{
		"acquire", "acquire_legacy", "renew", "release", "list", "revoke", "retire",
		"namespaces", "create_namespace", "accept_clock",
	}[op]
}

// requests counts requests by namespace, operation and reason. A success, which is
// what nearly all are, costs one look into a map.
type requests struct {
	total *prometheus.CounterVec
	none  *space // of requests for namespaces that are not known to exist

	learning sync.Mutex                        // held while known is replaced
	known    atomic.Pointer[map[string]*space] // by name, and never changed
}

// space is the counters of one namespace's successes.
type space struct {
	name string
	ok   [poolOps]atomic.Pointer[prometheus.Counter] // made when they first occur
}

// mostSpaces bounds how many namespaces have series of their own. Who may create
// namespaces could create any number.
const mostSpaces = 1024

func newRequests(total *prometheus.CounterVec) *requests {
	r := &requests{total: total, none: &space{}}
	r.known.Store(&map[string]*space{})
	return r
}

func (r *requests) count(op int, namespace string, err error) {
	s := (*r.known.Load())[namespace]
	if s == nil {
		s = r.learn(op, namespace, err)
	}
	if err != nil {
		r.total.WithLabelValues(s.name, nameOfOp(op), pool.Reason(err)).Inc()
		return
	}
	s.granted(r, op).Inc()
}

func (s *space) granted(r *requests, op int) prometheus.Counter {
	if c := s.ok[op].Load(); c != nil {
		return *c
	}
	c := r.total.WithLabelValues(s.name, nameOfOp(op), pool.Reason(nil))
	s.ok[op].Store(&c) // whoever else does so stores the same counter
	return c
}

// learn returns where to count a namespace that has not been heard of. It gets
// series of its own when what came of a request proves that there is one.
func (r *requests) learn(op int, namespace string, err error) *space {
	if namespace == "" || !utf8.ValidString(namespace) || !proof(err) {
		return r.none
	}
	r.learning.Lock()
	defer r.learning.Unlock()
	known := *r.known.Load()
	if s := known[namespace]; s != nil {
		return s
	}
	if len(known) >= mostSpaces {
		return r.none
	}
	s := &space{name: namespace}
	// From zero on, so that the first of each can be told from none at all.
	for _, op := range []int{opAcquire, opRenew, opRelease, op} {
		s.granted(r, op)
	}
	more := maps.Clone(known)
	more[namespace] = s
	r.known.Store(&more)
	return s
}

// proof reports whether a pool says this only of a namespace that it has.
func proof(err error) bool {
	switch pool.Reason(err) {
	case "ok", "exists", "exhausted", "not_yet", "layout_mismatch", "lease_lost", "revoked", "bad_seal",
		"not_leasable", "clock_jumped", "no_legacy_nodes", "ranges_mismatch", "terms_mismatch":
		return true
	}
	return false // among them "invalid", which may be the name, and "bad_record"
}
