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
}

const (
	// lookEvery is how often the store's clock is asked.
	lookEvery = time.Second
	// noteEvery is how far the time goes on before the mark is written again.
	noteEvery = 5 * time.Second
	// markNode is the key of the mark's record: no node has this number.
	markNode = -1
)

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
	var mark int64
	var revision uint64
	if !begun {
		var err error
		if mark, revision, err = k.readMark(ctx); err != nil {
			return err
		}
	}
	asked := k.pool.elapsed()
	wall, err := k.pool.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("pool: reading the store's clock: %w", err)
	}
	elapsed := k.pool.elapsed()

	k.mu.Lock()
	before := k.guard.jumped
	if !k.guard.begun {
		k.guard.begin(mark, wall, elapsed)
		k.noted, k.revision = mark, revision
	}
	// The clock was read at some moment between asking and hearing: at the one that
	// speaks best for it, so that a slow answer is no jump.
	elapsed = min(max(time.Duration(wall-k.guard.offset), asked), elapsed)
	now, jumped := k.guard.look(wall, elapsed)
	k.looked = elapsed
	due := !jumped && now-k.noted >= int64(noteEvery)
	k.mu.Unlock()

	if jumped != before {
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

// offset returns how far the store's clock is ahead of the time to go by, once there
// has been a look at it.
func (k *keeper) offset(ctx context.Context) (time.Duration, error) {
	asked := k.pool.elapsed()
	wall, err := k.pool.store.Now(ctx)
	if err != nil {
		return 0, fmt.Errorf("pool: reading the store's clock: %w", err)
	}
	heard := k.pool.elapsed()
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Duration(wall - k.guard.at(asked+(heard-asked)/2)), nil
}

// note writes the mark. Only availability after a restart depends on it, so a
// failure is not the request's.
func (k *keeper) note(ctx context.Context, now int64) {
	k.mu.Lock()
	revision := k.revision
	k.mu.Unlock()
	err := k.write(ctx, now, revision)
	if errors.Is(err, ErrConflict) { // another server has written it: as good as ours
		var mark int64
		if mark, revision, err = k.readMark(ctx); err == nil {
			k.mu.Lock()
			k.noted, k.revision = mark, revision
			k.mu.Unlock()
		}
	}
	if err != nil {
		k.pool.log.WarnContext(ctx, "cannot note the time in the store", "namespace", k.name, "error", err)
	}
}

func (k *keeper) write(ctx context.Context, mark int64, revision uint64) error {
	ns, err := k.pool.store.Namespace(ctx, k.name)
	if err != nil {
		return fmt.Errorf("pool: noting the time: %w", err)
	}
	written, err := k.pool.store.Write(ctx, Write{
		Namespace: k.name, NamespaceRevision: ns.Revision,
		Node: markNode, NodeRevision: revision,
		Value: strconv.AppendInt(nil, mark, 10),
	})
	if err != nil {
		return fmt.Errorf("pool: noting the time: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noted, k.revision = mark, written
	return nil
}

func (k *keeper) readMark(ctx context.Context) (mark int64, revision uint64, err error) {
	records, err := k.pool.store.Nodes(ctx, k.name, markNode, markNode)
	if err != nil {
		return 0, 0, fmt.Errorf("pool: reading the time noted: %w", err)
	}
	if len(records) == 0 {
		return 0, 0, nil
	}
	mark, err = strconv.ParseInt(string(records[0].Value), 10, 64)
	if err != nil || mark < 0 {
		return 0, 0, &RecordError{fmt.Sprintf("the time of namespace %q", k.name), "not Unix nanoseconds"}
	}
	return mark, records[0].Revision, nil
}

// accept takes the wall clock as it is, and notes it.
func (k *keeper) accept(ctx context.Context) error {
	_, revision, err := k.readMark(ctx)
	if err != nil {
		return err
	}
	wall, err := k.pool.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("pool: reading the store's clock: %w", err)
	}
	if err := k.write(ctx, wall, revision); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.guard.accept(wall, k.pool.elapsed())
	return nil
}
