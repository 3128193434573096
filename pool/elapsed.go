package pool

import "time"

// started is what the time elapsed is counted from, where the system has no
// better clock.
var started = time.Now() //nolint:gochecknoglobals,forbidigo // never changes; see WithElapsed

func sinceStart() time.Duration { return time.Since(started) } //nolint:forbidigo // see WithElapsed
