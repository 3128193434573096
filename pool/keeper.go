package pool

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// keeper keeps a namespace's time: it looks at the store's clock now and then,
// measures what passes in between, and notes the highest time in the store.
type keeper struct {
	pool *Local
	name string

	mu       sync.Mutex // owns the fields below; not held during a look
	guard    guard
	looking  bool
	looked   time.Duration
	noted    int64 // the mark in the store
	revision uint64

	behind             bool             // at the last look the wall clock was behind the time to go by
	acceptanceRevision uint64           // of the last acceptance seen
	seen               [2]time.Duration // when the notes were last read, and when before that
}

const (
	// lookEvery is how often the store's clock is asked.
	lookEvery = time.Second
	// noteEvery is how far the time goes on before the mark is written again.
	noteEvery = 5 * time.Second
	// followFor is how long an acceptance is followed that nobody has asked for here.
	followFor = 10 * time.Minute
	// markNode is the key of the mark's record, and acceptanceNode that of what the wall
	// clock showed when it was last accepted: no node has such a number.
	markNode       = -1
	acceptanceNode = -2
)

// notes are what the store has of a namespace's time.
type notes struct {
	mark, accepted                 int64
	markRevision, acceptedRevision uint64
}

// now returns the time to go by, or ErrClockJumped.
func (k *keeper) now(ctx context.Context) (int64, error) {
	elapsed := k.pool.elapsed()
	k.mu.Lock()
	if k.guard.begun && (k.looking || elapsed-k.looked < lookEvery) {
		defer k.mu.Unlock()
		return k.time(elapsed)
	}
	k.looking = true
	begun := k.guard.begun
	k.mu.Unlock()

	err := k.look(ctx, begun)

	k.mu.Lock()
	defer k.mu.Unlock()
	k.looking = false
	if err != nil {
		return 0, err
	}
	return k.time(k.pool.elapsed())
}

// time needs k.mu.
func (k *keeper) time(elapsed time.Duration) (int64, error) {
	if k.guard.jumped {
		return 0, ErrClockJumped
	}
	return k.guard.at(elapsed), nil
}

// look asks the store's clock, and notes the mark where it is due.
func (k *keeper) look(ctx context.Context, begun bool) error {
	k.mu.Lock()
	before := k.guard.jumped
	// Another server may have been told to accept the clock that they share.
	consult := (before || k.behind) && !k.pool.store.Exclusive()
	k.mu.Unlock()
	noticed := k.pool.elapsed()
	var n notes
	if !begun || consult {
		var err error
		if n, err = k.read(ctx); err != nil {
			return err
		}
	}
	r, err := k.wall(ctx)
	if err != nil {
		return err
	}
	wall := r.wall

	k.mu.Lock()
	var ahead time.Duration
	if !k.guard.begun {
		k.guard.begin(n.mark, r)
		k.noted, k.revision = n.mark, n.markRevision
		k.acceptanceRevision, k.seen = n.acceptedRevision, [2]time.Duration{noticed, noticed}
		ahead = time.Duration(n.mark - wall)
	}
	followed := consult && k.follow(n, r, noticed)
	now, jumped := k.guard.look(r)
	k.looked = r.heard
	k.behind = now-wall > int64(jumpTolerance)
	due := !jumped && now-k.noted >= int64(noteEvery)
	k.mu.Unlock()

	if ahead > jumpTolerance {
		k.sayAhead(ctx, ahead)
	}
	if followed {
		k.pool.log.WarnContext(ctx, "the wall clock was accepted at another server, and is gone by here, too", "namespace", k.name, "wall", time.Unix(0, wall))
	} else if jumped != before {
		if jumped {
			k.pool.log.ErrorContext(ctx, "the wall clock has jumped; granting nothing until it is back or accepted", "namespace", k.name, "wall", time.Unix(0, wall), "expected", time.Unix(0, now))
		} else {
			k.pool.log.InfoContext(ctx, "the wall clock is back; granting again", "namespace", k.name)
		}
	}
	if due {
		k.note(ctx, now)
	}
	return nil
}

// follow takes the wall clock as it is, if somebody has accepted what it showed a short
// while ago: on a server whose clock is the same, then, and not one of its own. That is
// since the notes were last read, or the time before, for whoever accepts reads the clock
// first and writes then; if it has jumped, since it was last believed here; and never
// longer ago than followFor, where nobody has looked for so long. It needs k.mu.
func (k *keeper) follow(n notes, r reading, noticed time.Duration) bool {
	since := max(k.seen[1], r.heard-followFor)
	if k.guard.jumped {
		since = max(since, k.guard.checked)
	}
	fresh := n.acceptedRevision != 0 && n.acceptedRevision != k.acceptanceRevision
	k.acceptanceRevision, k.seen = n.acceptedRevision, [2]time.Duration{noticed, k.seen[0]}
	if !fresh || !agree(n.accepted, r.wall, r.heard-since) {
		return false
	}
	k.guard.accept(r)
	k.noted, k.revision = n.mark, n.markRevision
	return true
}

// sayAhead says that the time noted is ahead of the clock.
func (k *keeper) sayAhead(ctx context.Context, by time.Duration) {
	k.pool.log.ErrorContext(ctx, "the time noted in the store is ahead of the wall clock, and windows are granted from there on: this clock is behind, or the clock of a server was ahead; set clocks right, then accept the clock (easyflake-cli namespace accept-clock)",
		"namespace", k.name, "ahead", by)
}

// offset returns how far the store's clock is ahead of the time to go by, once there
// has been a look at it.
func (k *keeper) offset(ctx context.Context) (time.Duration, error) {
	r, err := k.wall(ctx)
	if err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Duration(r.wall - k.guard.at(r.asked+(r.heard-r.asked)/2)), nil
}

// note writes the mark. Only availability after a restart depends on it, so a
// failure is not the request's.
func (k *keeper) note(ctx context.Context, now int64) {
	k.mu.Lock()
	revision := k.revision
	k.mu.Unlock()
	err := k.write(ctx, now, revision)
	if errors.Is(err, ErrConflict) { // another server has written it: as good as ours
		var n notes
		if n, err = k.read(ctx); err == nil {
			k.mu.Lock()
			k.noted, k.revision = n.mark, n.markRevision
			k.mu.Unlock()
			if ahead := time.Duration(n.mark - now); ahead > jumpTolerance {
				k.sayAhead(ctx, ahead)
			}
		}
	}
	if err != nil {
		k.pool.log.WarnContext(ctx, "cannot note the time in the store", "namespace", k.name, "error", err)
	}
}

func (k *keeper) write(ctx context.Context, mark int64, revision uint64) error {
	written, err := k.put(ctx, markNode, mark, revision)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noted, k.revision = mark, written
	return nil
}

// put writes one of the notes.
func (k *keeper) put(ctx context.Context, node, ns int64, revision uint64) (uint64, error) {
	r, err := k.pool.store.Namespace(ctx, k.name)
	if err != nil {
		return 0, fmt.Errorf("pool: noting the time: %w", err)
	}
	written, err := k.pool.store.Write(ctx, Write{
		Namespace: k.name, NamespaceRevision: r.Revision,
		Node: node, NodeRevision: revision,
		Value: strconv.AppendInt(nil, ns, 10),
	})
	if err != nil {
		return 0, fmt.Errorf("pool: noting the time: %w", err)
	}
	return written, nil
}

// read reads the notes.
func (k *keeper) read(ctx context.Context) (n notes, err error) {
	records, err := k.pool.store.Nodes(ctx, k.name, acceptanceNode, markNode)
	if err != nil {
		return n, fmt.Errorf("pool: reading the time noted: %w", err)
	}
	for _, r := range records {
		ns, err := strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil || ns < 0 {
			return n, &RecordError{fmt.Sprintf("the time of namespace %q", k.name), "not Unix nanoseconds"}
		}
		if r.Node == markNode {
			n.mark, n.markRevision = ns, r.Revision
		} else {
			n.accepted, n.acceptedRevision = ns, r.Revision
		}
	}
	return n, nil
}

// accept takes the wall clock as it is, and notes it: also for other servers that go by
// the same clock.
func (k *keeper) accept(ctx context.Context) (err error) {
	for range attempts { // others note the time, too
		if err = k.tryAccept(ctx); !errors.Is(err, ErrConflict) {
			break
		}
	}
	return err
}

func (k *keeper) tryAccept(ctx context.Context) error {
	n, err := k.read(ctx)
	if err != nil {
		return err
	}
	r, err := k.wall(ctx)
	if err != nil {
		return err
	}
	if err := k.write(ctx, r.wall, n.markRevision); err != nil {
		return err
	}
	accepted := n.acceptedRevision
	if !k.pool.store.Exclusive() {
		// After the mark: whoever follows goes on from there.
		if r, accepted, err = k.tell(ctx, accepted); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.guard.accept(r)
	k.acceptanceRevision, k.seen = accepted, [2]time.Duration{r.heard, r.heard}
	return nil
}

// tell notes what the wall clock shows, for servers that go by the same. They compare it
// with theirs, and so it must not be old when they come to see it: a note that took long
// to write is written anew.
func (k *keeper) tell(ctx context.Context, revision uint64) (r reading, written uint64, err error) {
	const most = 3 // where each takes long, others may not come to see it in time
	for i := range most {
		next, err := k.wall(ctx)
		if err == nil {
			written, err = k.put(ctx, acceptanceNode, next.wall, revision)
		}
		switch {
		case err != nil && i == 0:
			return r, 0, err
		case err != nil:
			return r, revision, nil //nolint:nilerr // as it was told before
		}
		if r, revision = next, written; k.pool.elapsed()-r.asked < lookEvery {
			break
		}
	}
	return r, revision, nil
}

// wall reads the store's clock.
func (k *keeper) wall(ctx context.Context) (r reading, err error) {
	r.asked = k.pool.elapsed()
	if r.wall, err = k.pool.store.Now(ctx); err != nil {
		return r, fmt.Errorf("pool: reading the store's clock: %w", err)
	}
	r.heard = k.pool.elapsed()
	return r, nil
}
