package pgstore

import "github.com/jackc/pgx/v5/pgconn"

// warning is where a connection keeps what its server warned of last.
const warning = "easyflake warning"

// noteWarning is called with all that a server says beside its answers.
//
// A commit that no longer waits for its standbys, because somebody has cancelled that,
// succeeds with a warning: the row is there for all to see, and a failover forgets it.
// That warning has no code of its own, so any one of a commit counts. Those of the
// statements before do not: near the wraparound of transaction IDs each write has one.
func noteWarning(conn *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		conn.CustomData()[warning] = n.Message
	}
}

// warningsOf returns what tells of warnings from now on, by whoever has the connection.
func warningsOf(conn *pgconn.PgConn) func() string {
	delete(conn.CustomData(), warning)
	return func() string {
		text, _ := conn.CustomData()[warning].(string)
		return text
	}
}
