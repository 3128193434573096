package etcdstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// call makes attempts at something that can be repeated, until one ends otherwise
// than by a failure that may pass. It reports how many failed so: each of them may
// have been carried out, or may still be.
func (s *Store) call(ctx context.Context, attempt func(context.Context) error) (broken int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !s.enter() {
		return 0, pool.ErrClosed
	}
	defer s.calls.Done()
	all, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	for {
		one, cancel := context.WithTimeout(all, s.patience(broken))
		err = attempt(one)
		cancel()
		if err == nil {
			return broken, nil
		}
		if all.Err() == nil {
			if !transient(err) {
				return broken, s.explain(err)
			}
			broken++
			if pause(all, broken) == nil {
				continue
			}
		} else {
			broken++ // by the end of the call
		}
		switch {
		case ctx.Err() != nil:
			return broken, fmt.Errorf("etcdstore: etcd has not answered: %w", ctx.Err())
		case s.closing.Err() != nil:
			return broken, pool.ErrClosed
		}
		return broken, s.explain(err)
	}
}

// patience is how long an attempt is waited for, after so many that broke off: a
// quarter of the longest time, half of it, all of it, and again. Most attempts take
// milliseconds, or went to a member that hangs, which every third one of three does;
// and whoever leases a node needs several calls one after the other. An etcd that takes
// long to answer each of them has all the time for every third attempt.
func (s *Store) patience(broken int) time.Duration { return s.attempt >> (2 - broken%3) }

// pause waits before another attempt: longer each time, and by chance, so that many
// who have lost the same leader do not come back at once.
func pause(ctx context.Context, n int) error {
	longest := min(20*time.Millisecond<<min(n, 5), 400*time.Millisecond)
	c := clock.System{}
	return c.Wait(ctx, c.Now()+int64(longest/2+rand.N(longest/2))) //nolint:gosec,wrapcheck // jitter need not be unguessable
}

// enter reports whether the store is open, and keeps it so until calls.Done.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil {
		return false
	}
	s.calls.Add(1)
	return true
}

// Close implements [pool.Store]. Calls under way are broken off.
func (s *Store) Close() error {
	s.mu.Lock()
	first := s.closing.Err() == nil
	s.close()
	s.mu.Unlock()
	s.calls.Wait()
	if !first || !s.own {
		return nil
	}
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("etcdstore: %w", err)
	}
	return nil
}
