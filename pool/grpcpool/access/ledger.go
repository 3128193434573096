package access

import (
	"maps"
	"sync"
	"time"
)

// Ledger counts live leases by identity and namespace. Its zero value is not
// usable; it is safe for concurrent use, and has no goroutine and no clock: times
// are passed in, as Unix nanoseconds.
//
// It knows of a lease what this server granted or renewed. One that was released,
// or given up, elsewhere counts here until its window is over; one that another
// server granted counts from its first renewal here on. Quotas may be changed at
// any time, since each call brings its own.
//
// It holds less than 100 bytes for each lease, and at most twice as many leases as
// were live when it last looked at all of them, and 64: it does so once in as many
// calls.
type Ledger struct {
	mu       sync.Mutex // owns all below; never held for more than one look at all
	accounts map[account]*book
	held     int // entries in all books
	budget   int // calls until all are looked at again
}

type account struct{ identity, namespace string }

// book is what one identity has in one namespace.
type book struct {
	entries map[[16]byte]entry
	most    int // entries since the map was made: maps do not shrink
	// earliest is the least until of all entries, or less; stale says that it may
	// be less.
	earliest int64
	stale    bool
}

// entry is one lease, by its token. It counts while its window lasts, and while
// somebody is asking for it.
type entry struct {
	until   int64 // 0 for one not granted yet
	pending uint32
}

func (e entry) counts(now int64) bool { return e.pending > 0 || e.until > now }

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{accounts: make(map[account]*book)} }

// pendingRetry is what to wait for requests that are being served.
const pendingRetry = time.Second

// slack is how many calls go by, at least, between two looks at all entries.
const slack = 64

// Reserve counts a lease before it is granted, so that requests that are served at
// the same time cannot go past the limit together; 0 is no limit. The reservation
// must be confirmed or cancelled. A repetition with a token that counts already is
// free, whatever the limit is by now.
//
// The error is a [*QuotaError].
func (l *Ledger) Reserve(id Identity, namespace string, token [16]byte, limit int, now int64) (*Reservation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tidy(now)
	key := account{id.Name, namespace}
	b := l.open(key)
	e, known := b.entries[token]
	if !e.counts(now) {
		if known {
			l.remove(b, token)
			e = entry{}
		}
		if limit > 0 && len(b.entries) >= limit {
			l.sweep(b, now)
		}
		if n := len(b.entries); limit > 0 && n >= limit {
			retry := pendingRetry
			if b.earliest != never {
				retry = time.Duration(b.earliest - now)
			}
			return nil, &QuotaError{Identity: id.Name, Namespace: namespace, Limit: limit, RetryAfter: retry}
		}
	}
	e.pending++
	l.put(b, token, e)
	return &Reservation{ledger: l, account: key, token: token}, nil
}

// Renewed notes how far a lease reaches that was renewed. It is not refused for a
// quota, and counts a lease that the ledger did not know, as after a restart.
func (l *Ledger) Renewed(id Identity, namespace string, token [16]byte, until, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tidy(now)
	l.extend(account{id.Name, namespace}, token, 0, until)
}

// Released takes out a lease that was released, or that the pool says is lost.
func (l *Ledger) Released(id Identity, namespace string, token [16]byte, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tidy(now)
	b := l.accounts[account{id.Name, namespace}]
	if b == nil {
		return
	}
	if e, known := b.entries[token]; known {
		b.leaves(e)
		e.until = 0
		l.settle(b, token, e)
	}
}

// Live returns how many leases count for an identity in a namespace.
func (l *Ledger) Live(id Identity, namespace string, now int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.accounts[account{id.Name, namespace}]
	if b == nil {
		return 0
	}
	l.sweep(b, now)
	return len(b.entries)
}

// Reservation is a lease that counts and is not granted yet. It is for one
// goroutine.
type Reservation struct {
	ledger  *Ledger
	account account
	token   [16]byte
	done    bool
}

// Confirm notes that the lease was granted, and how far it reaches.
func (r *Reservation) Confirm(until int64) {
	if r.done {
		return
	}
	r.done = true
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	r.ledger.extend(r.account, r.token, 1, until)
}

// Cancel notes that the lease was not granted; after Confirm it does nothing, so it
// can be deferred. Where nobody knows whether it was granted, cancel it too: its
// first renewal will count it.
func (r *Reservation) Cancel() {
	if r.done {
		return
	}
	r.done = true
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	b := r.ledger.accounts[r.account] // not nil: it holds what is pending
	e := b.entries[r.token]
	e.pending--
	r.ledger.settle(b, r.token, e)
	if len(b.entries) == 0 { // anybody can make up namespaces
		delete(r.ledger.accounts, r.account)
	}
}

// never is the earliest end of nothing.
const never = 1<<63 - 1

func (l *Ledger) open(key account) *book {
	b := l.accounts[key]
	if b == nil {
		b = &book{entries: make(map[[16]byte]entry), earliest: never}
		l.accounts[key] = b
	}
	return b
}

// extend lets a lease reach until, but never less far than before, and takes
// confirmed off what is pending.
func (l *Ledger) extend(key account, token [16]byte, confirmed uint32, until int64) {
	b := l.open(key)
	e := b.entries[token]
	e.pending -= confirmed
	if until > e.until {
		b.leaves(e)
		e.until = until
		b.earliest = min(b.earliest, until)
	}
	l.settle(b, token, e)
}

// settle keeps an entry, or takes it out if nothing is left of it.
func (l *Ledger) settle(b *book, token [16]byte, e entry) {
	if e == (entry{}) {
		l.remove(b, token)
		return
	}
	l.put(b, token, e)
}

func (l *Ledger) put(b *book, token [16]byte, e entry) {
	before := len(b.entries)
	b.entries[token] = e
	l.held += len(b.entries) - before
	b.most = max(b.most, len(b.entries))
}

func (l *Ledger) remove(b *book, token [16]byte) {
	before := len(b.entries)
	b.leaves(b.entries[token])
	delete(b.entries, token)
	l.held += len(b.entries) - before
}

// leaves notes that an entry's until counts no more.
func (b *book) leaves(e entry) { b.stale = b.stale || e.until != 0 && e.until <= b.earliest }

// sweep takes out what does not count any more, and finds the earliest end; it
// need not look where nothing can have ended.
func (l *Ledger) sweep(b *book, now int64) {
	if !b.stale && b.earliest > now {
		return
	}
	before := len(b.entries)
	b.earliest, b.stale = never, false
	for token, e := range b.entries {
		switch {
		case !e.counts(now):
			delete(b.entries, token)
		case e.until > now:
			b.earliest = min(b.earliest, e.until)
		case e.until != 0:
			e.until = 0 // pending again, after it had ended
			b.entries[token] = e
		}
	}
	l.held += len(b.entries) - before
	if n := len(b.entries); b.most > 4*n+slack {
		smaller := make(map[[16]byte]entry, n)
		maps.Copy(smaller, b.entries)
		b.entries, b.most = smaller, n
	}
}

// tidy looks at all books once in as many calls as there were entries left the last
// time.
func (l *Ledger) tidy(now int64) {
	l.budget--
	if l.budget > 0 {
		return
	}
	for key, b := range l.accounts {
		b.stale = true
		l.sweep(b, now)
		if len(b.entries) == 0 {
			delete(l.accounts, key)
		}
	}
	l.budget = l.held + slack
}
