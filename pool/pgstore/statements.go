package pgstore

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Why a write is right.
//
// It is two statements in one message to the server, and so in one transaction, which
// is committed at the end of the message:
//
//	SELECT pg_advisory_xact_lock_shared(the namespace) ...
//	UPDATE nodes ... WHERE revision = R AND EXISTS (the namespace at revision N)
//
// Writes of nodes hold the namespace's lock shared, and a write of the namespace holds
// it alone; all until they are committed. At read committed a statement sees what was
// committed before it began, and the second one begins when the lock is held. So the
// namespace that it sees is the latest one, and stays that until the node is
// committed: a write of the namespace has been seen, or comes after the node's. Of two
// writes of one node the second one waits for the first one's row lock, and PostgreSQL
// then compares the revision again, with the row as it is now. (What it does not do
// again is to look at the namespace, which has not changed.)
//
// In one statement, lock and look would not do: a statement sees what there was when
// it began, before it had the lock. A row lock on the namespace (FOR SHARE) would, but
// each renewal would write the namespace's row to say who has it, with lists of all
// holders that have to be vacuumed away; and PostgreSQL lets those who come to share a
// row lock overtake a writer who waits for it, so that raising a floor could take for
// ever. Who waits for an advisory lock is overtaken by nobody.
//
// The level of isolation is set to what it should be already: at another one this is
// an error, for a query has begun. What a transaction at repeatable read sees it saw
// before it had the lock.

// lockStatement takes the lock $1, and has the transaction wait for the disk, and the
// server say if it did not wait: it sends no warning to whom it is set not to. What is
// set for the transaction holds until that has been committed and has waited.
const lockStatement = `SELECT current_setting('fsync'), set_config('synchronous_commit', 'on', true),
	set_config('client_min_messages', 'warning', true), set_config('transaction_isolation', 'read committed', true), `

// hexadecimal is how bytes are read. How a server writes them otherwise is a setting,
// bytea_output.
type hexadecimal []byte

// Scan implements [sql.Scanner].
func (h *hexadecimal) Scan(src any) (err error) {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("pgstore: %T in place of text", src)
	}
	*h, err = hex.DecodeString(text)
	return err //nolint:wrapcheck // pgx says which column
}

var _ sql.Scanner = (*hexadecimal)(nil)

// statements are the queries on one schema.
type statements struct {
	check, now                       string
	namespaces, namespace, nodes     string
	share, exclude                   string
	createNamespace, updateNamespace string
	createNode, updateNode           string
}

// check also tells whether the session is the one that the connection was made to: $1
// is the number of that one's process. PgBouncer, which has a session for each
// transaction, makes a number up. Only in a session of its own does a store leave
// something behind: statements, and that they are planned for an index even while
// their tables are so small that reading all would be as fast.
func newStatements(schema string) *statements {
	quoted := pgx.Identifier{schema}.Sanitize()
	fill := strings.NewReplacer(
		"{schema}", quoted,
		"{next}", "nextval('"+strings.ReplaceAll(quoted, "'", "''")+".revisions')",
		// It can be switched off in a server that runs.
		"{safe}", "current_setting('fsync') = 'on'",
	).Replace
	return &statements{
		check: fill(`SELECT version, current_setting('fsync'), pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
			current_setting('transaction_isolation'), direct,
			CASE WHEN direct THEN set_config('enable_seqscan', 'off', false) END
			FROM {schema}.version, LATERAL (SELECT pg_backend_pid() = $1::bigint AS direct) session`),
		now:        `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`,
		namespaces: fill(`SELECT encode(name, 'hex') FROM {schema}.namespaces ORDER BY name`),
		namespace:  fill(`SELECT revision, encode(value, 'hex') FROM {schema}.namespaces WHERE name = $1::bytea`),
		nodes: fill(`SELECT node, revision, encode(value, 'hex') FROM {schema}.nodes
			WHERE namespace = $1::bytea AND node BETWEEN $2::bigint AND $3::bigint ORDER BY node`),
		share:   lockStatement + `pg_advisory_xact_lock_shared($1::bigint)::text`,
		exclude: lockStatement + `pg_advisory_xact_lock($1::bigint)::text`,
		createNamespace: fill(`INSERT INTO {schema}.namespaces (name, revision, value)
			SELECT $1::bytea, {next}, $2::bytea WHERE {safe}
			ON CONFLICT DO NOTHING RETURNING revision`),
		updateNamespace: fill(`UPDATE {schema}.namespaces SET revision = {next}, value = $2::bytea
			WHERE name = $1::bytea AND revision = $3::bigint AND {safe} RETURNING revision`),
		createNode: fill(`INSERT INTO {schema}.nodes (namespace, node, revision, value)
			SELECT name, $4::bigint, {next}, $2::bytea FROM {schema}.namespaces
			WHERE name = $1::bytea AND revision = $3::bigint AND {safe}
			ON CONFLICT DO NOTHING RETURNING revision`),
		updateNode: fill(`UPDATE {schema}.nodes SET revision = {next}, value = $2::bytea
			WHERE namespace = $1::bytea AND node = $4::bigint AND revision = $5::bigint AND {safe}
			AND EXISTS (SELECT FROM {schema}.namespaces WHERE name = $1::bytea AND revision = $3::bigint)
			RETURNING revision`),
	}
}
