package grpcpool

import (
	"sync"
	"time"

	"github.com/easyflake/easyflake/clock"
)

// lines bounds how many lines of a kind are logged: a flood of strangers must not fill
// a disk.
type lines struct {
	clock clock.Clock

	mu    sync.Mutex // owns the fields below
	since int64      // when the lines in said began, Unix ns
	said  int
	more  int // not said
}

const (
	mostLines = 10
	linesSpan = int64(10 * time.Second)
)

// may reports whether there may be another line, and how many there were not.
func (l *lines) may() (unsaid int, ok bool) {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := now - l.since; d < 0 || d >= linesSpan {
		l.since, l.said = now, 0
	}
	if l.said == mostLines {
		l.more++
		return 0, false
	}
	l.said++
	unsaid, l.more = l.more, 0
	return unsaid, true
}
