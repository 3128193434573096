package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
)

// postgresEngine is PostgreSQL.
func postgresEngine() engine {
	return engine{
		schemes:  []string{"postgres", "postgresql"},
		form:     "postgres://USER@HOST/DATABASE",
		valid:    pgstore.Valid,
		redacted: pgstore.Redacted,
		open:     func(ctx context.Context, url string, _ engineHow) (pool.Store, error) { return pgstore.Open(ctx, url) },
		prepare: func(ctx context.Context, url string) (bool, error) {
			return pgstore.CreateSchema(ctx, url)
		},
		explain: func(err error, shown string) string {
			if errors.Is(err, pgstore.ErrMissing) {
				return fmt.Sprintf("%s has no tables for leases: check the URL, or create them with 'easyflake-cli store init %s'", shown, shown)
			}
			return ""
		},
		// A server that is read-only may be a standby about to be promoted.
		final: []error{
			pgstore.ErrCredentials, pgstore.ErrNoDatabase, pgstore.ErrMissing, pgstore.ErrForeign, pgstore.ErrNewer,
			pgstore.ErrPermission, pgstore.ErrUnsafe, pgstore.ErrIsolation,
		},
	}
}
