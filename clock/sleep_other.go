//go:build !linux

package clock

import "time"

// preciseSleep is as precise as the runtime's timers: on macOS and the BSDs
// these count nanoseconds, on Windows about half milliseconds.
func preciseSleep(d time.Duration) { time.Sleep(d) }
