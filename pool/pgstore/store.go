package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// Store is a [pool.Store] in a database. It is safe for concurrent use.
type Store struct {
	db      *pgxpool.Pool
	schema  string
	timeout time.Duration
	sql     *statements
	closed  atomic.Bool

	// unprepared says that statements reach sessions that have not prepared them.
	unprepared atomic.Bool
}

var _ pool.Store = (*Store)(nil)

// Open opens the store in the database of a URL, as PostgreSQL's own clients take it:
//
//	postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&pool_max_conns=32&easyflake_schema=NAME
//
// pool_max_conns is how many connections there may be, 16 by default; a write or a
// read has one for as long as it takes. The parameters of pgx's connection pool and of
// libpq are valid, as are the latter's environment variables and password file.
//
// It connects, and refuses a server that is read-only or that would lose writes, and
// a schema that is missing or not of this version. All later connections are checked
// in the same way.
func Open(ctx context.Context, url string, opts ...Option) (*Store, error) {
	c, o, err := parse(url, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{schema: o.schema, timeout: o.timeout, sql: newStatements(o.schema)}
	c.AfterConnect = s.check
	// A round trip to look whether an idle connection still works would be one for
	// each renewal of a pool that has little to do. See with.
	c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	if s.db, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return nil, explain(ctx, err, o.schema)
	}
	if _, err := s.Now(ctx); err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

// check judges the server at the other end of a new connection, and prepares statements
// there if that is where all of them will come to.
func (s *Store) check(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var fsync, isolation string
	var readOnly, direct bool
	attempt, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := conn.QueryRow(attempt, s.sql.check, int64(conn.PgConn().PID())).Scan(&version, &fsync, &readOnly, &isolation, &direct, nil)
	var kind error
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		kind = ErrForeign
	case err != nil:
		return explain(ctx, err, s.schema)
	case readOnly:
		kind = ErrReadOnly
	case fsync != "on":
		kind = ErrUnsafe
	case isolation != "read committed":
		kind = ErrIsolation
	default:
		if err = checkVersion(version, s.schema); err == nil && direct {
			err = explain(ctx, s.prepare(ctx, conn), s.schema)
		}
		return err
	}
	return fmt.Errorf("%w: %s", kind, advice(kind, s.schema))
}

// prepare has the server parse once per connection, and plan a few times, what
// acquisitions and renewals consist of: to do so each time is half of what they cost
// there.
func (s *Store) prepare(ctx context.Context, conn *pgx.Conn) error {
	for _, sql := range []string{s.sql.share, s.sql.updateNode, s.sql.createNode, s.sql.nodes} {
		if s.unprepared.Load() {
			return nil
		}
		attempt, cancel := context.WithTimeout(ctx, s.timeout)
		_, err := conn.Prepare(attempt, sql, sql)
		cancel()
		if s.mistaken(err) {
			return nil
		} else if err != nil {
			return err //nolint:wrapcheck // explained by the caller
		}
	}
	return nil
}

// mistaken reports whether a statement failed, without effect, because something between
// this store and the server passed on the number of a session and then used another one:
// the statement is prepared there under that name, or is not. No more are prepared then.
func (s *Store) mistaken(err error) bool {
	server, answered := errors.AsType[*pgconn.PgError](err)
	if !answered || server.Code != "26000" && server.Code != "42P05" {
		return false
	}
	s.unprepared.Store(true)
	return true
}

// usable is asked before anything is sent.
func (s *Store) usable(ctx context.Context) error {
	if s.closed.Load() {
		return pool.ErrClosed
	}
	return ctx.Err() //nolint:wrapcheck // the caller's own
}

// with has a connection for something that the database answers within the store's
// timeout. To get a connection takes as long as the caller has: there may be several
// hosts to try, and what has become of a new one in the meantime is there the next time.
//
// If a connection breaks, is silent, or leads to a server that is no longer the primary,
// all others are as old: they are replaced before anybody fails with them. A caller in a
// hurry says nothing of the connection.
func (s *Store) with(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	err := s.once(ctx, do)
	if s.mistaken(err) {
		s.db.Reset()
		err = s.once(ctx, do)
	}
	return err
}

// once is with for one attempt.
func (s *Store) once(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	conn, err := s.db.Acquire(ctx)
	if err != nil {
		return s.unconnected(ctx, err)
	}
	defer conn.Release()
	attempt, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	begun := clock.System{}.Now()
	if err = do(attempt, conn); err == nil {
		return nil
	}
	err = explain(ctx, err, s.schema)
	silent := errors.Is(attempt.Err(), context.DeadlineExceeded) && clock.System{}.Now()-begun >= int64(s.timeout/3)
	if silent || errors.Is(err, ErrUnreachable) && attempt.Err() == nil || errors.Is(err, ErrReadOnly) {
		s.db.Reset()
	}
	return err
}

// unconnected explains why there is no connection: nothing was sent.
func (s *Store) unconnected(ctx context.Context, err error) error {
	if errors.Is(err, puddle.ErrClosedPool) {
		return pool.ErrClosed
	}
	if all := s.db.Stat(); ctx.Err() != nil && all.AcquiredConns() >= all.MaxConns() {
		return fmt.Errorf("pgstore: %w: all %d connections are in use; if that lasts, raise pool_max_conns in the URL", ctx.Err(), all.MaxConns())
	}
	return explain(ctx, err, s.schema)
}

// row reads one row; where there is none, nothing is read.
func (s *Store) row(ctx context.Context, sql string, args, to []any) error {
	return s.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		err := conn.QueryRow(ctx, sql, args...).Scan(to...)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err //nolint:wrapcheck // with does
	})
}

// rows reads all rows.
func rows[T any](ctx context.Context, s *Store, each pgx.RowToFunc[T], sql string, args ...any) (all []T, err error) {
	err = s.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		found, err := conn.Query(ctx, sql, args...)
		if err == nil {
			all, err = pgx.CollectRows(found, each)
		}
		return err //nolint:wrapcheck // with does
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Namespaces implements [pool.Store].
func (s *Store) Namespaces(ctx context.Context) ([]string, error) {
	return rows(ctx, s, func(row pgx.CollectableRow) (string, error) {
		var name hexadecimal
		err := row.Scan(&name)
		return string(name), err
	}, s.sql.namespaces)
}

// Namespace implements [pool.Store].
func (s *Store) Namespace(ctx context.Context, name string) (r pool.Record, err error) {
	err = s.row(ctx, s.sql.namespace, []any{[]byte(name)}, []any{&r.Revision, (*hexadecimal)(&r.Value)})
	return r, err
}

// Nodes implements [pool.Store]: one statement sees one moment.
func (s *Store) Nodes(ctx context.Context, name string, first, last int64) ([]pool.NodeRecord, error) {
	return rows(ctx, s, func(row pgx.CollectableRow) (r pool.NodeRecord, err error) {
		err = row.Scan(&r.Node, &r.Revision, (*hexadecimal)(&r.Value))
		return r, err
	}, s.sql.nodes, []byte(name), first, last)
}

// Write implements [pool.Store].
func (s *Store) Write(ctx context.Context, w pool.Write) (uint64, error) {
	value := w.Value
	if value == nil {
		value = []byte{} // NULL is another thing
	}
	lock, args := s.sql.share, []any{[]byte(w.Namespace), value}
	var sql string
	// Revisions past those of the database are negative there, and no record's.
	switch {
	case w.OfNamespace && w.NamespaceRevision == 0:
		lock, sql = s.sql.exclude, s.sql.createNamespace
	case w.OfNamespace:
		lock, sql, args = s.sql.exclude, s.sql.updateNamespace, append(args, int64(w.NamespaceRevision))
	case w.NodeRevision == 0:
		sql, args = s.sql.createNode, append(args, int64(w.NamespaceRevision), w.Node)
	default:
		sql, args = s.sql.updateNode, append(args, int64(w.NamespaceRevision), w.Node, int64(w.NodeRevision))
	}
	var fsync string
	var revision uint64
	var warned string
	err := s.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		warnings := func() string { return "" }
		batch := new(pgx.Batch)
		batch.Queue(lock, lockKey(s.schema, w.Namespace)).QueryRow(func(row pgx.Row) error {
			return row.Scan(&fsync, nil, nil, nil, nil)
		})
		batch.Queue(sql, args...).QueryRow(func(row pgx.Row) error {
			err := row.Scan(&revision)
			// This statement's answer is read to its end: what comes now is the commit's.
			warnings = warningsOf(conn.Conn().PgConn())
			if !errors.Is(err, pgx.ErrNoRows) {
				return err //nolint:wrapcheck // with does
			}
			return nil
		})
		// Close returns once the transaction was committed, or was not.
		err := conn.SendBatch(ctx, batch).Close()
		warned = warnings() // while the connection is this one's
		return err          //nolint:wrapcheck // with does
	})
	if err != nil {
		return 0, err
	}
	switch {
	case warned != "":
		return 0, fmt.Errorf("%w: %s (%s)", ErrDoubtful, advice(ErrDoubtful, s.schema), warned)
	case fsync != "on":
		return 0, fmt.Errorf("%w: %s", ErrUnsafe, advice(ErrUnsafe, s.schema))
	case revision == 0:
		return 0, pool.ErrConflict
	}
	return revision, nil
}

// Now implements [pool.Store]: the database's time, to the microsecond.
func (s *Store) Now(ctx context.Context) (int64, error) {
	var micros int64
	err := s.row(ctx, s.sql.now, nil, []any{&micros})
	return micros * 1000, err
}

// Exclusive implements [pool.Store]: others write to the database, too.
func (s *Store) Exclusive() bool { return false }

// Close implements [pool.Store]: it waits for what is under way.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.db.Close()
	return nil
}
