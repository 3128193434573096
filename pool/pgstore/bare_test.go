package pgstore_test

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// lockAndWrite is a write with nothing around it.
func lockAndWrite(db *pgxpool.Pool, sql string, name, value []byte, namespace, node int64, revision *int64) error {
	batch := new(pgx.Batch)
	batch.Queue("SELECT pg_advisory_xact_lock_shared($1), set_config('synchronous_commit', 'on', true)", int64(1))
	batch.Queue(sql, name, value, namespace, node, *revision).QueryRow(func(row pgx.Row) error { return row.Scan(revision) })
	return db.SendBatch(context.Background(), batch).Close()
}
