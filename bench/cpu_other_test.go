//go:build !unix

package bench

import "time"

// processCPU is not known here: %cpu is not reported.
func processCPU() time.Duration { return 0 }
