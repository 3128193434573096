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
