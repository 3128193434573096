// Package etcdstore keeps the records of a pool in etcd. Several pool servers on one
// etcd serve the same namespaces, and none of them is needed by the others: what was
// acknowledged survives the loss of any minority of etcd's members.
//
// A record is a plain key below a prefix, and never attached to an etcd lease, whose
// expiry would delete it: what a node was once leased until is what keeps its next
// holder apart. Nothing here deletes a key, and nobody else may.
//
//	PREFIX namespaces/ NAME              the namespace's record
//	PREFIX nodes/ NAME / 8000000000000007   that of its node 7
//
// A name is escaped as in the path of a URL; a node is in 16 hexadecimal digits, its
// sign bit flipped, so that keys are in the order of the numbers. A value is one line
// that says who wrote it, and the record. What does not look exactly so is a
// [*pool.RecordError], and is left as it is.
//
// # Reads and writes
//
// A write is one transaction, which compares the revisions that etcd keeps of the
// namespace's key and of the node's, both; etcd never gives a revision twice. All
// reads are linearizable. Many nodes are read in pages, all of them at the revision
// of the first.
//
// An attempt that breaks off, as when a member or its leader ends, leaves open
// whether it was carried out, and it may still be, later. So a write carries an
// identity of its own, and is sent again as it was, to another member where there
// is one: at most one of the attempts can find the revisions that it asks for. The
// one that does not reads what is there instead, and the identity tells its own
// record from another's. What stays open after [WithTimeout] is an error that says
// so, and no conflict.
//
// # The time
//
// etcd has no clock that clients can read, so that Now is this process's wall clock.
// Servers whose clocks differ are no danger. Which ticks are granted depends on the
// clock; that none is granted twice rests on the records alone (assumption A1).
// Where a clock is off by more than the skew, its clients may have to wait; and a
// server whose clock jumps stops granting, as the pool's clock guard sees to.
//
// # What it rests on
//
// That etcd never loses an acknowledged write: members with disks that keep what
// they have synced, and without --unsafe-no-fsync. After restoring a snapshot of
// etcd, its records are old ones, and there is no telling from here: have the pool
// raise the floors by [pool.Local.Doubt] before anybody acquires.
//
// # Errors
//
// Each error says what to do and wraps one of those below, a [*pool.RecordError], a
// [*layout.FieldError] for what was configured wrongly, or the context's error. No
// password is ever in one.
package etcdstore
