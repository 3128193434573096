// Package boltstore is the durable store of a pool server: one bbolt file, which
// one process has to itself.
//
// Acknowledged writes survive a crash of the process and of the machine, as far as
// the disk keeps what it has synced. Writes that come together share a sync. The
// store is exclusive, so that its pool may write ahead of what it grants and renew
// leases without writing.
//
// A lock keeps other processes out for as long as the store is open. It is on a
// marker beside the file, PATH.id, and on the file itself, links resolved. Network
// file systems are refused where they are known.
//
// # When the file is not what it was
//
// [Open] creates nothing unless told to by [WithCreate], and then only where there
// has never been a store. By the marker it detects:
//
//   - a file that is gone: an error, unless [WithRestored] is given
//   - an older copy put back, another store's file, a copy of both file and marker
//     at another place (not on Windows), a marker that is gone or damaged: the
//     store is doubtful
//
// It cannot detect that file and marker were deleted together; nor that a machine's
// whole disk was set back, as by a snapshot of a virtual machine; nor an older copy put back after the machine itself has crashed,
// if it is younger than the count that the marker had on the disk. After any of
// these, open it by [WithRestored].
//
// A doubtful store refuses to write nodes until [Store.Settle], which raises the
// floors of all namespaces: new windows begin where lost ones have ended.
//
// # Errors
//
// Each error says what to do, has left the file as it was, and wraps one of those
// below. After a write that failed, all calls return [ErrFailed]: what is on the
// disk is known only after opening the store again.
package boltstore
