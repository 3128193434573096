package sim

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Counters tell how often what happened. A simulation in which the rare never
// happens says nothing about it.
type Counters struct {
	Seeds    int
	Events   int
	IDs      uint64
	Virtual  time.Duration // of true time
	Requests int           // that came to a server

	// Faults, by kind.
	Lost, Repeated, Tardy        int // messages
	HeldBack                     int // the same, until they may do harm
	Stops, StopsInNow            int // of processes
	StopsInTurn                  int // of a client that may hold its lease's lock
	PreemptsInNow                int
	ServerStops                  int
	ClientCrashes, ServerCrashes int
	CrashesInWrite, WritesFailed int
	WritesTorn, WritesLate       int
	WritesBegun, WritesUnasked   int // ahead; made before somebody waited
	ClockSteps, ClockFreezes     int
	ClockYears, ServerClocks     int
	ServerFreezes, ServerRates   int
	ServerYears                  int
	Partitions                   int
	Restores                     int
	Clones                       int

	// Rare situations.
	Acquired, Renewed, Released int
	Contiguous                  int // a window that begins where another one ends
	LateRenewals                int // carried out after the window's end
	RetriesGranted              int // a repetition of what had been granted already
	RenewalsRepeated            int // carried out, heard nothing of, and answered when sent once more
	FloorUsed                   int // refused because of a floor
	CloneRefused                int // for its original's renewal
	OriginalRefused             int // for its clone's
	Exhausted                   int
	NotYet                      int
	Revoked                     int // leases refused because they were revoked
	Retired                     int // nodes, by an operator who was told so
	Taken                       int // leases lost because the node was somebody else's
	ReleaseRaces                int // a release and a renewal of one lease under way together
	BadSeals                    int
	ClockOff                    int // a window given back for the client's clock
	ClockJumped                 int // requests refused because the server's clock had jumped
	Brief                       int // clients that were to make one ID
	Handovers                   int // a generator that went on with another node
	Reopened                    int // a generator after another one on one lease
	ReopenedInside              int // the same, while calls of the other one were under way
	NoLease                     int // bursts that ended without a window
	Backward                    int // bursts that ended with ClockBackwardError
	Conflicts                   int // writes refused by the store
	Nested                      int // requests served while another one's write was under way
	Borrowed                    int // generators that borrowed
	Doubts                      int // evidence of lost records
	Progress, Exempt            int // clients that made IDs after healing; those that need not
	HandsProgress               int // the same, of nodes numbered by hand
	EarlyRefused                int // starts put off, for A5's sake

	// What the ghost has looked at: were it nothing, nothing could be wrong with it.
	LeaseRecords, FreeRecords int // records of nodes written, with a holder and without
	GrantsOnRecord            int // grants found durably on record
	Evidence, FloorsRaised    int // renewals that show what the store does not know; by a server

	// With an assumption broken.
	Doubles    uint64
	Overlaps   int
	Early      int // starts though A5 forbids them
	Mismatches int // requests refused because of another layout
}

// Add adds another run's counters.
func (c *Counters) Add(d Counters) {
	sum, more := reflect.ValueOf(c).Elem(), reflect.ValueOf(d)
	for i := range sum.NumField() {
		if f := sum.Field(i); f.CanUint() {
			f.SetUint(f.Uint() + more.Field(i).Uint())
		} else {
			f.SetInt(f.Int() + more.Field(i).Int())
		}
	}
}

// String returns all counters, a line each.
func (c Counters) String() string {
	var b strings.Builder
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		fmt.Fprintf(&b, "%20s %v\n", v.Type().Field(i).Name, v.Field(i))
	}
	return b.String()
}
