package main

import (
	"fmt"
	"strings"
	"time"
)

// When progress is shown: after a second, and then four times a second.
const (
	progressAfter = int64(time.Second)
	progressEvery = int64(time.Second / 4)
)

// progress says on stderr how far long work has come, while stderr is a terminal
// and stdout is not. Its line disappears when the work is done.
type progress struct {
	w     *world // nil where nothing shall be shown
	what  string
	total int64 // 0 where it is not known

	began, next int64
	done        int64
	shown       int // columns
}

func newProgress(w *world, what string, total int64, quiet bool) *progress {
	if quiet || !w.stderrTerminal || w.stdoutTerminal {
		return &progress{}
	}
	now := w.clock.Now()
	return &progress{w: w, what: what, total: total, began: now, next: now + progressAfter}
}

// add counts n more things done.
func (p *progress) add(n int) {
	if p.w == nil {
		return
	}
	p.done += int64(n)
	now := p.w.clock.Now()
	if now < p.next {
		return
	}
	p.next = now + progressEvery
	p.show(p.line(now))
}

func (p *progress) line(now int64) string {
	passed := time.Duration(max(now-p.began, 1))
	speed := float64(p.done) / passed.Seconds()
	if p.total == 0 {
		return fmt.Sprintf("%s %s, %s per second", group(p.done), p.what, rate(speed))
	}
	left := time.Duration(float64(p.total-p.done) / speed * float64(time.Second))
	return fmt.Sprintf("%s of %s %s (%d%%), %s per second, %s left", group(p.done), group(p.total), p.what,
		int(float64(p.done)/float64(p.total)*100), rate(speed), distance(time.Unix(0, 0), time.Unix(0, 0).Add(left)))
}

// clear removes the line.
func (p *progress) clear() {
	if p.shown > 0 {
		p.shown += len("^C") // which the terminal may have added
		p.show("")
		p.put("\r")
	}
}

// show replaces the line, without escape sequences, which not every terminal
// understands.
func (p *progress) show(line string) {
	if most := p.w.stderrWidth - 1 - len("^C"); most > 0 && len(line) > most {
		line = line[:most]
	}
	p.put("\r" + line + strings.Repeat(" ", max(0, p.shown-len(line))))
	p.shown = len(line)
}

func (p *progress) put(s string) {
	p.w.saying.Lock()
	defer p.w.saying.Unlock()
	//nolint:errcheck // there is nowhere to say that stderr is closed
	fmt.Fprint(p.w.stderr, s)
}
