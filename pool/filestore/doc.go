// Package filestore is a store in one file that many processes of a machine share:
// each opens it under its lock for each operation, and holds it no longer. It is
// what ten commands started at once can use without a server.
//
// A write is durable when it returns: it survives a crash of the process at any
// instruction, and of the machine as far as the disk keeps what it has synced. The
// file is never rewritten as a whole. It costs two syncs each, so that some hundred
// writes a second are what all processes together get; package boltstore, under a
// pool server, is for more.
//
// The lock is on a marker beside the file, PATH.id, and on the file itself, links
// resolved. Waiting for it ends with the context of the call, and after some
// seconds anyway: a process that was stopped while it had the lock is named. The
// file is for its user only, mode 0600, in folders of mode 0700. Network file
// systems are refused where they are known.
//
// # When the file is not what it was
//
// This is as in package boltstore, whose documentation says what is detected: a
// file that is gone, an older copy put back, a copy at another place. Here, it is
// detected in the middle of the work, too: every process that has the store open
// then gets [ErrReplaced], until it opens the store again.
package filestore
