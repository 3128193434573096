// Package pooltest tests stores and pools: whether they keep the contracts of
// package pool, whatever clocks and networks do. Who writes a store needs these
// lines:
//
//	func TestStore(t *testing.T) {
//		pooltest.RunStore(t, factory())
//	}
//
//	func TestPool(t *testing.T) {
//		pooltest.RunPool(t, pooltest.PoolFactory{Stores: factory()})
//	}
//
// A case that fails explains the rule that was broken.
package pooltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// StoreFactory makes stores of one kind, and says what that kind promises beyond
// the contract of [pool.Store]. What is not promised is not tested.
type StoreFactory struct {
	// New returns empty storage, used by one test. Its stores tell the time by
	// c, unless OwnClock is set.
	New func(t *testing.T, c clock.Clock) Storage

	// Exclusive is what the stores say they are.
	Exclusive bool
	// Locked says that storage that is open cannot be opened once more. An
	// exclusive store without it is its tests' to protect. Storage that is
	// neither Locked nor Exclusive is opened several times at once.
	Locked bool
	// Durable says that what was acknowledged is there when the storage is
	// opened again.
	Durable bool
	// OwnClock says that Now is the engine's time, not the factory's clock.
	OwnClock bool
}

// Storage is where the stores of one test keep their records: a file's path, a
// database's schema.
type Storage struct {
	// Open opens a store on it. The suite closes what it opened.
	Open func() (pool.Store, error)

	// Crash ends a store as its process' death would, so that the storage can
	// be opened again: nothing may be written that an acknowledged call has not
	// made durable. Nil where this cannot be done.
	Crash func(s pool.Store)
}

// start is when tests begin: nothing special, and no whole second.
func start() time.Time { return time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC) }

// rule is what a case is about; failures print it.
type rule struct {
	*testing.T
	text string
}

// errorf says what went wrong, and which rule that breaks.
func (r rule) errorf(format string, args ...any) {
	r.Helper()
	r.Errorf("%s\nThe rule: %s", fmt.Sprintf(format, args...), r.text)
}

// fatalf is errorf for what makes going on senseless.
func (r rule) fatalf(format string, args ...any) {
	r.Helper()
	r.errorf(format, args...)
	r.FailNow()
}
