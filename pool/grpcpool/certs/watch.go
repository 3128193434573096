package certs

import (
	"context"
	"time"

	"github.com/easyflake/easyflake/clock"
)

// Watch reads the files again and again, and takes them when their contents have
// changed and are good, until ctx ends; run it in a goroutine. It looks at
// contents, not at names or times: so it sees files that are overwritten, renamed
// over, or reached through a link that was changed, as Kubernetes does.
//
// It calls onReload with nil when it has taken new material, with an error when
// what is there cannot be taken, once for as long as the error stays the same,
// and with nil when the trouble is over. It looks again after every, a second at
// least, in either case: a pair of which one half is there gets its other half.
func (r *Reloader) Watch(ctx context.Context, c clock.Clock, every time.Duration, onReload func(error)) {
	trouble := ""
	for {
		if c.Wait(ctx, c.Now()+int64(max(every, time.Second))) != nil {
			return
		}
		changed, err := r.reload()
		switch {
		case err != nil && err.Error() != trouble:
			trouble = err.Error()
			onReload(err)
		case err == nil && (changed || trouble != ""):
			trouble = ""
			onReload(nil)
		}
	}
}
