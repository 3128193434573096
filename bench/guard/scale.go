package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

var errScale = errors.New("on two processors Sharded must make IDs clearly faster than on one, and than Mutex does; look for a lock, or for a cache line that each ID writes and others read")

// How Sharded has to scale where the machine does. What it waits for there, a lock or
// a cache line of others, costs it all that the second processor brings.
const (
	floorScales = 0.7  // of the time on one processor: two are there to be had
	mostOfOne   = 0.85 // of its own time on one
	mostOfMutex = 0.75 // of the time of Mutex on two
)

// scaling judges Sharded on two processors by what it takes on one and by Mutex, both of
// the same run: no baseline of another machine knows what a lock or a shared line costs
// here. It writes what it has seen.
//
// Other work may keep the second processor busy for some of the runs. So the floor has
// to scale in most of them, and Sharded in its best.
func (m *measured) scaling(w io.Writer) error {
	one, ok := m.times.best(floorOf("pin", "1"))
	two := slices.Clone(m.times[floorOf("pin", "2")])
	if !ok || len(two) == 0 {
		_, _ = fmt.Fprintln(w, "Sharded on two processors is not judged by its time on one: pinning was not measured on both")
		return nil
	}
	slices.Sort(two)
	if most := two[len(two)/2]; most > floorScales*one {
		_, _ = fmt.Fprintf(w, "Sharded on two processors is not judged by its time on one: pinning alone takes %.2f of its time there\n", most/one)
		return nil
	}
	var bad []error
	for _, clock := range []string{"tsc", "coarse"} {
		name := func(gen string) string { return "Next/gen=" + gen + "/clock=" + clock + "/layout=wide" }
		onTwo, ok := m.times.best(key{name("sharded"), "2"})
		onOne, alone := m.times.best(key{name("sharded"), "1"})
		mutex, locked := m.times.best(key{name("mutex"), "2"})
		if !ok || !alone || !locked {
			continue // which the baseline says is missing
		}
		_, _ = fmt.Fprintf(w, "Sharded on two processors, clock=%s: %.2f of its time on one (at most %.2f), %.2f of Mutex's (at most %.2f)\n",
			clock, onTwo/onOne, mostOfOne, onTwo/mutex, mostOfMutex)
		if onTwo > mostOfOne*onOne || onTwo > mostOfMutex*mutex {
			bad = append(bad, fmt.Errorf("%s on 2, %.2f of its time on one and %.2f of Mutex's: %w", name("sharded"), onTwo/onOne, onTwo/mutex, errScale))
		}
	}
	return errors.Join(bad...)
}
