package pooltest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// Fault is what becomes of a call on its way.
type Fault int

const (
	// None lets the call through.
	None Fault = iota
	// LostBefore loses the call: it is never carried out.
	LostBefore
	// LostAfter loses the reply: the call is carried out.
	LostAfter
	// Twice carries the call out twice; the caller gets the second reply.
	Twice
	// Late keeps the call until Deliver; the caller has given up by then.
	Late
)

// ErrLost is what a caller gets instead of a reply.
var ErrLost = errors.New("pooltest: no reply")

// Faults decides what becomes of calls. A call's name is its method's.
type Faults struct {
	mu    sync.Mutex // owns the fields below; held during no call
	plan  func(call string) Fault
	late  []func()
	calls map[string]int
}

// Plan sets what is asked before each call; nil lets all through. It may do
// something itself, which then happens between what the caller has decided and
// what it does.
func (f *Faults) Plan(plan func(call string) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

// Next plans a fault for the next call of a name alone, after which everything
// goes through again.
func (f *Faults) Next(call string, fault Fault) {
	f.Once(call, func() Fault { return fault })
}

// Once plans something for the next call of a name alone, not for the calls that
// it leads to itself.
func (f *Faults) Once(call string, do func() Fault) {
	var done atomic.Bool
	f.Plan(func(name string) Fault {
		if name == call && done.CompareAndSwap(false, true) {
			return do()
		}
		return None
	})
}

// Deliver carries out the late calls, in the order in which they came.
func (f *Faults) Deliver() {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	for _, do := range late {
		do()
	}
}

// Calls returns how often a method was called.
func (f *Faults) Calls(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

func (f *Faults) next(call string) Fault {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = make(map[string]int)
	}
	f.calls[call]++
	plan := f.plan
	f.mu.Unlock()
	if plan == nil {
		return None
	}
	return plan(call)
}

// through sends a call on its way. Late calls are carried out without the
// caller's context, which is over by then.
func through[T any](ctx context.Context, f *Faults, call string, do func(context.Context) (T, error)) (reply T, err error) {
	switch f.next(call) {
	case None:
		return do(ctx)
	case LostBefore:
		return reply, ErrLost
	case LostAfter:
		_, _ = do(ctx)
		return reply, ErrLost
	case Twice:
		_, _ = do(ctx)
		return do(ctx)
	case Late:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late = append(f.late, func() { _, _ = do(context.WithoutCancel(ctx)) })
		return reply, ErrLost
	}
	panic("pooltest: unknown fault")
}

// FaultyStore is a store that is reached through Faults.
type FaultyStore struct {
	pool.Store
	Faults
}

// NewFaultyStore puts Faults before a store, which let all through at first.
func NewFaultyStore(s pool.Store) *FaultyStore { return &FaultyStore{Store: s} }

var (
	_ pool.Store         = (*FaultyStore)(nil)
	_ pool.WriteBeginner = (*FaultyStore)(nil)
)

// Doubtful implements [pool.Doubter].
func (s *FaultyStore) Doubtful() string { return pool.Doubtful(s.Store) }

// Namespaces implements [pool.Store].
func (s *FaultyStore) Namespaces(ctx context.Context) ([]string, error) {
	return through(ctx, &s.Faults, "Namespaces", s.Store.Namespaces)
}

// Namespace implements [pool.Store].
func (s *FaultyStore) Namespace(ctx context.Context, name string) (pool.Record, error) {
	return through(ctx, &s.Faults, "Namespace", func(ctx context.Context) (pool.Record, error) { return s.Store.Namespace(ctx, name) })
}

// Nodes implements [pool.Store].
func (s *FaultyStore) Nodes(ctx context.Context, name string, first, last int64) ([]pool.NodeRecord, error) {
	return through(ctx, &s.Faults, "Nodes", func(ctx context.Context) ([]pool.NodeRecord, error) {
		return s.Store.Nodes(ctx, name, first, last)
	})
}

// Write implements [pool.Store].
func (s *FaultyStore) Write(ctx context.Context, w pool.Write) (uint64, error) {
	return through(ctx, &s.Faults, "Write", func(ctx context.Context) (uint64, error) { return s.Store.Write(ctx, w) })
}

// BeginWrite implements [pool.WriteBeginner], also before a store that does not: then
// the write is made once somebody waits. What becomes of it is decided then, as of a
// "Write".
func (s *FaultyStore) BeginWrite(w pool.Write) func(context.Context) (uint64, error) {
	wait := beginWrite(s.Store, w)
	waited := false
	return func(ctx context.Context) (uint64, error) {
		return through(ctx, &s.Faults, "Write", func(ctx context.Context) (uint64, error) {
			if waited {
				return s.Store.Write(ctx, w)
			}
			waited = true
			return wait(ctx)
		})
	}
}

func beginWrite(s pool.Store, w pool.Write) func(context.Context) (uint64, error) {
	if b, ok := s.(pool.WriteBeginner); ok {
		return b.BeginWrite(w)
	}
	return func(ctx context.Context) (uint64, error) { return s.Write(ctx, w) }
}

// Now implements [pool.Store].
func (s *FaultyStore) Now(ctx context.Context) (int64, error) {
	return through(ctx, &s.Faults, "Now", s.Store.Now)
}

// FaultyPool is a pool that is reached through Faults.
type FaultyPool struct {
	pool.Pool
	Faults
}

// NewFaultyPool puts Faults before a pool, which let all through at first.
func NewFaultyPool(p pool.Pool) *FaultyPool { return &FaultyPool{Pool: p} }

var _ pool.Pool = (*FaultyPool)(nil)

// Acquire implements [pool.Pool].
func (p *FaultyPool) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	return through(ctx, &p.Faults, "Acquire", func(ctx context.Context) (pool.Grant, error) {
		return p.Pool.Acquire(ctx, namespace, l, token)
	})
}

// Renew implements [pool.Pool].
func (p *FaultyPool) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	return through(ctx, &p.Faults, "Renew", func(ctx context.Context) (pool.Grant, error) { return p.Pool.Renew(ctx, r) })
}

// Release implements [pool.Pool].
func (p *FaultyPool) Release(ctx context.Context, r pool.Release) error {
	return noReply(ctx, &p.Faults, "Release", func(ctx context.Context) error { return p.Pool.Release(ctx, r) })
}

// Revoke implements [pool.Pool].
func (p *FaultyPool) Revoke(ctx context.Context, namespace string, node int64) error {
	return noReply(ctx, &p.Faults, "Revoke", func(ctx context.Context) error { return p.Pool.Revoke(ctx, namespace, node) })
}

// Retire implements [pool.Pool].
func (p *FaultyPool) Retire(ctx context.Context, namespace string, node int64) error {
	return noReply(ctx, &p.Faults, "Retire", func(ctx context.Context) error { return p.Pool.Retire(ctx, namespace, node) })
}

// List implements [pool.Pool]. A lost list yields ErrLost alone.
func (p *FaultyPool) List(ctx context.Context, namespace string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) {
		if p.next("List") != None {
			yield(pool.NodeInfo{}, ErrLost)
			return
		}
		p.Pool.List(ctx, namespace)(yield)
	}
}

func noReply(ctx context.Context, f *Faults, call string, do func(context.Context) error) error {
	_, err := through(ctx, f, call, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	return err
}
