// Package grpcpool is the pool over the network: a server that puts any
// [pool.Pool] on a port, and a client that is one.
//
//	client ── Acquire, Renew, Release, List, … ──▶ server ──▶ pool.Local ──▶ store
//	(pool.Manager)      easyflake.pool.v1.NodePool      (pool.Manager)
//
// A refusal is the same error at the client as without a network between: the same
// sentinel, or the same type with the same fields. Anything else, as a broken
// connection, means that it is not known whether the request was carried out; to
// repeat it does no harm.
//
// A server keeps nothing of its own but how many leases each identity has:
// several of them on a store that they can share serve the same clients. A
// [Client] takes several endpoints, and goes on with the next one where one does
// not answer, is shutting down, has lost its store, or whose clock has jumped.
//
// Subpackages: poolv1 is the protocol, access says who may do what, certs keeps
// certificates up to date, config reads a server's configuration file, intercept
// has logs, panics and metrics, legacy serves EasyFlake for Python.
package grpcpool
