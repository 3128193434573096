//go:build !unix

package peers

import "time"

// processCPU is not known here: %cpu is not reported.
func processCPU() time.Duration { return 0 }
