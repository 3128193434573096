// Package sim is the fault simulation: pools, stores' records, leases and
// generators, as they are in production, in a world whose time, network, clocks
// and disks are simulated and go wrong as one seed says.
//
//	go test ./property/sim -run Sim -seeds 2000   # many seeds
//	go test ./property/sim -run Sim -seed 23 -v   # one of them, with all that happens
//
// The rules are not written again here. What is simulated is what surrounds them: a
// store that a server's crash can tear, messages that are lost, late or repeated,
// processes that are stopped, killed and copied, and clocks that are wrong by years. A
// ghost record of all grants, which survives the loss of the store, judges every ID
// that a client makes. Of the rules it knows what a record promises: that it is durable
// before a grant is heard of, keeps to the floor, and has each revision once.
//
// A run repeats: all processes share one thread, one of their goroutines runs at a
// time, and whatever is drawn is drawn from the seed.
package sim
