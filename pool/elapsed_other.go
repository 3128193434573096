//go:build !linux

package pool

import "time"

// elapsed returns the time since some fixed moment. Whether it counts the time
// that the machine was suspended is up to the system.
func elapsed() time.Duration { return sinceStart() }
