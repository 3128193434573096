// Package linear tests that pools are linearizable: what many clients were told,
// all at once and with things going wrong, is what one client at a time could have
// been told, in an order that contradicts nobody's watch.
//
//	go test ./property/linear                      # some seeds, and a fresh one
//	go test ./property/linear -linear.histories 50 # more of them
//	go test ./property/linear -run TestBolt -linear.seed 23 -count 20
//
// A seed decides who asks for what and which faults there are; which request is
// served first is the scheduler's choice, so that a seed may have to be repeated
// until it fails again.
//
// Each history is judged twice, by rules written down once more, slowly and without
// a look at package pool's: node by node, since nodes have nothing to do with each
// other, and token by token, since a token has one lease at a time. Part of the
// specification is what a pool may forget: a store of its own is written ahead of
// what is granted, so that a restart, or a write that was given up, may bring a node
// back as it was last written; with the write that was begun before its time, or without.
//
// What is left out:
//
//   - A refusal for want of nodes is judged node by node: each was taken at some
//     moment of the request. That all of them were so at the same moment is not
//     claimed, for a search takes its time and nodes come and go meanwhile.
//   - That a token has one lease is judged for tokens of which the outcome of each
//     request is known, and which were not acquired twice at the same time.
//   - Floors, revoked and retired nodes, and a layout's last tick: the conformance
//     suite of package pooltest has them.
//
// There is nothing here to import.
package linear
