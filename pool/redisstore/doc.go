// Package redisstore keeps a pool's records in Redis, or what speaks its protocol.
// Any number of pool servers and programs share one.
//
// # Best effort
//
// This store does not promise what the guarantee of unique IDs asks for (A1: an
// acknowledged write is never lost). Redis acknowledges a write before its replicas
// have it, so that a failover forgets the last ones, or all since a network was
// cut; and before the disk has it, but for "appendfsync always". What the store does
// about it: it notices that the server was restarted, or that another one took over,
// before anything more is granted, and then raises the floors of all namespaces: no
// window begins before those that may have been lost are over, which takes a horizon
// (two minutes by default). The log says so. What it cannot notice is written under
// "When records were lost"; the stores on etcd and PostgreSQL do not need to.
//
// # How it is kept
//
// All keys begin with the prefix ("easyflake:"), and have one hash tag, so that in a
// cluster one server has all of a store:
//
//	easyflake:{easyflake:}store       hash: what the store says of itself
//	easyflake:{easyflake:}namespaces  hash: a namespace's name to its record
//	easyflake:{easyflake:}nodes:NAME  hash: a node to its record
//	easyflake:{easyflake:}index:NAME  sorted set: the nodes that have one, in order
//
// A write is one script, which compares both revisions and writes the record. After a
// lost reply it is sent again, and finds itself, if nobody has written since. No key
// ever expires. The time is the server's.
//
// The user needs the keys of the prefix, and the commands EVAL, EVALSHA, HGET, HMGET,
// HSET, HKEYS, ZADD, ZRANGEBYLEX, EXISTS, TIME and INFO; in a cluster CLUSTER SLOTS as
// well. CONFIG GET, where allowed, is used for a hint in the log.
//
// # When records were lost
//
// The store notes the run ID of the server and the ID of its replication history; a
// write of a node compares the latter with the server's own, in the same script. It
// differs after a restart, after a failover, also one there and back, and after keys
// were moved to another server of a cluster; and when a master's first replica comes,
// or its last one has been gone for repl-backlog-ttl. It is missing where the data are
// gone, as after FLUSHALL. The store then is doubtful, and refuses to write nodes until
// it is settled, which whoever comes first does: it raises the floors. So a restart of
// Redis costs two minutes without new windows, also where nothing was lost: leases that
// do not reach past the floor are not renewed.
//
// An empty Redis tells nothing either: it is doubtful too, and a namespace created in
// it begins no window before a horizon from then, unless [WithFresh] says that there
// never was a store.
//
// It cannot notice that single keys were deleted or set back, and cannot prevent that
// an old master which is cut off from its replicas, or hung while one took over, goes on
// granting to whoever still reaches it, while its successor does, too. That does no harm
// for as long as the windows which it grants end before the successor's floor: for a
// horizon less a window, a minute by default, from when the successor was settled.
// "min-replicas-to-write" bounds it.
//
// # Sentinel and clusters
//
// With the client of a Sentinel or a cluster (see [Open] and [New]) the store follows the
// master. While its keys are moved to another server of a cluster, writes are refused now
// and then ([ErrRefused]: try again); once they are there the floors are raised, though
// nothing was lost. Only the prefix decides which server of a cluster has a store; two
// prefixes may share one.
//
// # Errors
//
// Each error says what to do, and wraps one of those below. A server that evicts keys
// by an allkeys policy is refused whatever its memory limit is, since that can be set
// at any time; policies for keys that expire leave these alone.
package redisstore
