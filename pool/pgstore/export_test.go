package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Spoil runs statements in a session of a store, which it is to misuse.
func Spoil(ctx context.Context, s *Store, sql string) error {
	_, err := s.db.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

// Prepared returns the names of what is prepared in a session of a store, as SQL
// writes them.
func Prepared(ctx context.Context, s *Store) (names []string, err error) {
	err = s.db.QueryRow(ctx, "SELECT array_agg(quote_ident(name)) FROM pg_prepared_statements").Scan(&names)
	return names, err
}

// Check has a store judge a connection that it has not made.
func Check(ctx context.Context, s *Store, conn *pgx.Conn) error { return s.check(ctx, conn) }
