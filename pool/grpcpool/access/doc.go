// Package access says who may do what at a pool server.
//
// # Who
//
// An [Identity] comes from a client certificate that the server has verified,
// from a bearer token, or from neither: then it is [Anonymous]. A certificate is
// matched by one of its URIs or DNS names or by its common name, exactly and as a
// whole. There are no patterns: one would let in whoever can get a certificate for
// any name that it covers, and naming certificates one by one costs an operator a
// line each.
//
// A bearer token is 256 random bits ([NewSecret]). The server keeps only its
// SHA-256, which needs no salt and no slow hashing: nobody guesses 256 bits. So a
// file of tokens gives nothing away to those who can read it; those who can write
// it are the ones to fear.
//
// # What
//
// A [Permission] joins an identity, a pattern of namespaces and some actions; what
// no permission allows is denied. What several of them allow adds up. Of several
// quotas, that of the most specific pattern counts.
//
// # How much
//
// A [Ledger] counts the live leases of each identity in each namespace, at this
// server: n servers of one store together grant up to n times the quota. It lives
// longer than a [Policy], which is built whole, never changed, and replaced when
// the configuration is.
package access
