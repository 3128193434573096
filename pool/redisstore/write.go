package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// Write implements [pool.Store]. If the store is found doubtful, it is settled, and the
// write refused: what it was decided upon has changed.
//
// Where an attempt breaks off, the same record is sent again, and finds itself if it was
// written. If it does not, another one may have replaced it, and what became of it is
// not known: that is no conflict, which would say that nothing was written.
func (s *Store) Write(ctx context.Context, w pool.Write) (uint64, error) {
	if err := fits(w); err != nil {
		return 0, err
	}
	number, guarded := "", "0"
	if !w.OfNamespace {
		number = field(w.Node)
		if w.Node >= 0 { // others are no nodes, and say nothing of windows
			guarded = "1"
		}
	}
	revision, record := newRecord(w.Value)
	n, broken, err := s.repeat(ctx, []any{
		4, s.keys.store, s.keys.namespaces, s.keys.nodes + w.Namespace, s.keys.index + w.Namespace,
		w.Namespace, wanted(w.NamespaceRevision), number, wanted(w.NodeRevision), record, guarded,
	})
	switch {
	case err != nil && broken:
		if errors.Is(err, pool.ErrClosed) {
			err = context.Canceled // ErrClosed would say that nothing was done
		}
		return 0, fmt.Errorf("pool: it is not known whether the record was written: read it again: %w", err)
	case err != nil:
		return 0, err
	case n == 1:
		return revision, nil
	case n == -1:
		if err := s.settle(ctx); err != nil {
			return 0, err
		}
	case n != 0 && w.OfNamespace:
		return 0, s.foreign(errNoRecord, fmt.Sprintf("what is kept of namespace %q", w.Namespace))
	case n != 0:
		return 0, s.foreign(errNoRecord, node(w.Namespace, w.Node)+", or of the namespace,")
	}
	if broken {
		return 0, errOvertaken
	}
	return 0, pool.ErrConflict
}

var errOvertaken = errors.New("pool: it is not known whether the record was written to Redis: an attempt broke off, and another one has been written since: read it again")

// once is a command that the client sends no second time.
type once struct{ *redis.Cmd }

// NoRetry implements [redis.Cmder].
func (once) NoRetry() bool { return true }

// repeat makes attempts at the script that writes, until there is a reply. It reports
// whether one broke off before: that may have been carried out, or may still be. The
// client, which repeats by itself what fails, would not tell.
func (s *Store) repeat(ctx context.Context, args []any) (n int64, broken bool, err error) {
	const attempts = 4
	call, script := "evalsha", s.scripts.write.Hash()
	for i := range attempts {
		if err := s.usable(ctx); err != nil && !broken {
			return 0, false, err
		}
		var reply any
		reply, err = s.once(ctx, append([]any{call, script}, args...))
		if redis.HasErrorPrefix(err, "NOSCRIPT") { // it has not been sent to this server yet
			call, script = "eval", trusted+write
			reply, err = s.once(ctx, append([]any{call, script}, args...))
		}
		if err == nil {
			n, _ = reply.(int64)
			return n, broken, nil
		}
		if _, replied := errors.AsType[redis.Error](err); replied || errors.Is(err, redis.ErrClosed) {
			break // nothing was written this time
		}
		s.seek()
		broken = broken || !unsent(err)
		c := clock.System{}
		if i == attempts-1 || c.Wait(ctx, c.Now()+int64(10*time.Millisecond<<(2*i))) != nil {
			break
		}
	}
	return 0, broken, s.explain(err)
}

// unsent reports whether a command failed before anything of it was sent.
func unsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout)
}

func (s *Store) once(ctx context.Context, args []any) (any, error) {
	cmd := once{redis.NewCmd(ctx, args...)}
	cmd.SetFirstKeyPos(3)
	_ = s.client.Process(ctx, cmd) // the command has its error, too
	return cmd.Result()
}
