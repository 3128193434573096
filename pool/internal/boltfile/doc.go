// Package boltfile keeps the records of a pool in one bbolt file, for the stores
// of packages boltstore and filestore: what both do is here, and how each shares
// the file with others is theirs.
//
// # The file
//
//	bucket "easyflake"            format, id, born, doubt
//	bucket "namespace:" + name    "record" -> the namespace's own record
//	                              8 bytes  -> a node's: big-endian, sign flipped,
//	                                          so that keys sort like numbers
//
// Each value carries its revision and a checksum over all of it (record.go).
// bbolt itself protects only its two meta pages, and follows a damaged page
// wherever that leads: out of the mapped memory, and into a crash. So the pages
// are walked, within bounds, before bbolt sees them (verify.go).
//
// # The marker
//
// Beside the file lies a marker, PATH.id, that is made once and never replaced. It
// is what everybody locks, since a file may be replaced by its backup while
// somebody has it open. It says which store belongs here and how many commits it
// has had; both tell whether the file found later is still that store:
//
//	the file is gone                                     an error
//	the file is of another id                            doubtful
//	it has had fewer commits: an older copy              doubtful
//	it is not where it was on the disk: a copy of both   doubtful
//	it has been used, and the marker is gone or damaged  doubtful
//
// The count is written with each commit and synced only now and then: it outlives
// the process, and a crash of the machine can only make it too low. What cannot be
// detected: file and marker deleted together, a machine's whole disk set back (a
// snapshot of a virtual machine), and a crash of the machine followed by putting
// back a copy that is younger than the last count that reached the disk (about half
// a minute on Linux). They need the operator to say so, by the option Restored.
//
// A doubtful store refuses to write nodes until Settle has raised the floor of its
// namespaces.
//
// # What is durable
//
// The last commit counts as durable when the marker has counted it, for that is
// done after its sync. Where the marker is behind, its writer was killed in the
// middle, or its sync failed, and what it wrote may be in memory only: then a
// further commit, and its sync, come before any answer.
package boltfile
