package pgstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// schemaVersion is the version of the tables, in the table version.
const schemaVersion = 1

// tables makes the tables of the current version in the schema %[1]s.
//
// Revisions come from one sequence: it gives no number twice, so that a record that
// somebody deletes and makes anew does not get a revision that it had before. Room in
// the pages lets a renewal, which changes nothing that is indexed, stay in its page.
const tables = `
CREATE TABLE %[1]s.version (version integer NOT NULL);
CREATE UNIQUE INDEX version_one ON %[1]s.version ((true));
INSERT INTO %[1]s.version VALUES (%[2]d);
CREATE SEQUENCE %[1]s.revisions AS bigint MINVALUE 1 NO CYCLE;
CREATE TABLE %[1]s.namespaces (
	name     bytea  PRIMARY KEY,
	revision bigint NOT NULL CHECK (revision > 0),
	value    bytea  NOT NULL
);
CREATE TABLE %[1]s.nodes (
	namespace bytea  NOT NULL,
	node      bigint NOT NULL,
	revision  bigint NOT NULL CHECK (revision > 0),
	value     bytea  NOT NULL,
	PRIMARY KEY (namespace, node)
) WITH (fillfactor = 50);
`

// CreateSchema makes the tables of a store in the database of a URL, and the schema
// that they are in, unless they are there already. Several may do so at once. Created
// reports whether there was anything to do.
func CreateSchema(ctx context.Context, url string, opts ...Option) (created bool, err error) {
	c, o, err := parse(url, opts)
	if err != nil {
		return false, err
	}
	c.MaxConns, c.MinConns = 1, 0
	db, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return false, explain(ctx, err, o.schema)
	}
	defer db.Close()
	err = pgx.BeginTxFunc(ctx, db, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		created, err = create(ctx, tx, o.schema)
		return err
	})
	if err != nil {
		return false, explain(ctx, err, o.schema)
	}
	return created, nil
}

func create(ctx context.Context, tx pgx.Tx, schema string) (bool, error) {
	quoted := pgx.Identifier{schema}.Sanitize()
	// Whoever comes second sees what the first one has made: the lock is held until
	// that is committed, and each statement looks anew.
	var fsync string
	var readOnly bool
	err := tx.QueryRow(ctx, `SELECT current_setting('fsync'), pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
		pg_advisory_xact_lock($1::bigint)::text, set_config('synchronous_commit', 'on', true)`, lockKey(schema, "")).Scan(&fsync, &readOnly, nil, nil)
	switch {
	case err != nil:
		return false, err //nolint:wrapcheck // explained by the caller
	case readOnly:
		return false, fmt.Errorf("%w: %s", ErrReadOnly, advice(ErrReadOnly, schema))
	case fsync != "on":
		return false, fmt.Errorf("%w: %s", ErrUnsafe, advice(ErrUnsafe, schema))
	}
	var hasSchema, hasTable bool
	err = tx.QueryRow(ctx, `SELECT to_regnamespace($1::text) IS NOT NULL, to_regclass($1::text || '.version') IS NOT NULL`, quoted).Scan(&hasSchema, &hasTable)
	if err != nil {
		return false, err //nolint:wrapcheck // explained by the caller
	}
	if hasTable {
		var version int
		if err := tx.QueryRow(ctx, "SELECT version FROM "+quoted+".version").Scan(&version); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				err = fmt.Errorf("%w: %s", ErrForeign, advice(ErrForeign, schema))
			}
			return false, err
		}
		return false, checkVersion(version, schema)
	}
	if !hasSchema {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+quoted); err != nil {
			return false, err //nolint:wrapcheck // explained by the caller
		}
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(tables, quoted, schemaVersion), pgx.QueryExecModeSimpleProtocol)
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Code == "42P07" { // something is called so
		return false, fmt.Errorf("%w: %s (%w)", ErrForeign, advice(ErrForeign, schema), err)
	}
	return true, err //nolint:wrapcheck // explained by the caller
}

func checkVersion(version int, schema string) error {
	switch {
	case version > schemaVersion:
		return fmt.Errorf("%w: it is %d, and this program knows %d; %s", ErrNewer, version, schemaVersion, advice(ErrNewer, schema))
	case version != schemaVersion:
		return fmt.Errorf("%w: its version is %d; %s", ErrForeign, version, advice(ErrForeign, schema))
	}
	return nil
}

// lockKey is the key of an advisory lock: a namespace's, or with "" the schema's own.
// Two with the same key only wait for each other.
func lockKey(schema, namespace string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("easyflake\x00" + schema + "\x00" + namespace)) // never fails
	return int64(h.Sum64())
}
