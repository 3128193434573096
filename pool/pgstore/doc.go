// Package pgstore is a store in a PostgreSQL database, which any number of pools on
// any number of machines share: several pool servers on one database have no single
// point of failure of their own.
//
// An acknowledged write is on the server's disk, as far as that keeps what it has
// synced, and on those standbys that the server is told to wait for: each write asks
// for synchronous_commit, whatever the default of the server or of the role is, and a
// server that runs with fsync off is refused. A standby that is promoted without
// having all acknowledged writes is another store than the one before; see
// [pool.Local.Doubt].
//
// A write is one round trip. Statements are prepared, once per connection, where that
// leads straight to a server. Behind PgBouncer, also in transaction mode, no state is
// left in a session, and the server parses and plans each statement anew, which takes
// it about as long as the write itself. The time is the database's.
//
// # The schema
//
// [CreateSchema], or easyflake-cli store init, makes the tables, in a schema of
// their own; nothing else does. Its role needs CREATE on the database, or on the
// schema if that is there already. Pools need no more than
//
//	GRANT USAGE ON SCHEMA easyflake TO app;
//	GRANT SELECT, INSERT, UPDATE ON easyflake.namespaces, easyflake.nodes TO app;
//	GRANT SELECT ON easyflake.version TO app;
//	GRANT USAGE ON SEQUENCE easyflake.revisions TO app;
//
// Names and records are bytes, as not every database's encoding has all characters:
//
//	SELECT convert_from(namespace, 'UTF8'), node, convert_from(value, 'UTF8') FROM easyflake.nodes;
//
// # Errors
//
// Each error wraps one of those below, says what to do, and never has a password in
// it. Nothing was written, unless it is [ErrUnreachable] or a context's: then the
// outcome of a write is not known. With [ErrDoubtful] it was written, and a failover may
// forget it: the commit no longer waited for the standbys that it is to wait for.
package pgstore
