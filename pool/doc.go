// Package pool leases node numbers, so that nobody has to think of them and no two
// processes ever make the same IDs.
//
// A lease is a node together with a window of ticks: {node, token, [from, until)}.
// Its holder stamps only ticks of the window, and windows of a node never overlap.
// So a holder that was paused, cut off or given up for dead cannot do harm when it
// comes back: its window is its own, for ever, and nobody else's. Expiry is no
// matter of opinion between clocks, but of which ticks were granted.
//
// The rules are pure functions over records (rules.go). A [Store] keeps the
// records and decides nothing; [New] makes a [Pool] of one. At the client, a
// [Lease] acquires, renews and gives back, and is the source of a generator.
//
// # Guarantee
//
// No two IDs of a namespace are equal, provided that (A1) the store, one for the
// namespace, never loses an acknowledged write; (A2) a process holding a lease is
// never copied or rolled back; (A3) a namespace has one immutable layout; (A4) a
// node numbered by hand has one live source at a time and is never leased by a
// pool; (A5) when such a node starts without a state file, its clock is past every
// tick stamped before. Numbers from legacy streams are outside the guarantee. Clock
// errors, pauses, crashes and lost, duplicated or late
// messages can only stop or delay generation. No order is promised across nodes,
// nor that an ID's time is the true time.
package pool
