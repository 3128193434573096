package main

import (
	"context"
	"io"
	"iter"
)

// chunk is some input, or its end.
type chunk struct {
	text string
	err  error
}

// readChunks reads in a goroutine of its own, up to the first error or the end of
// ctx. A read that blocks outlasts it.
func readChunks(ctx context.Context, r io.Reader) <-chan chunk {
	chunks := make(chan chunk, 1)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Read(buf)
			select {
			case chunks <- chunk{string(buf[:n]), err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return chunks
}

// splitter finds words between white space in a text that comes in pieces.
type splitter struct {
	carry string // of a word whose end has not come yet
	line  int    // lines before the carry
	start int    // column of the carry, from 0
}

type word struct {
	text         string
	line, column int // from 1
}

// maxWord bounds what is kept of a word whose end does not come. No ID is nearly
// that long, but for decimal ones with leading zeros.
const maxWord = 4 << 10

// split yields the words that end in the text, and at the last piece the rest. A
// word longer than maxWord may come in two.
func (s *splitter) split(text string, last bool) iter.Seq[word] {
	return func(yield func(word) bool) {
		text = s.carry + text
		begin := -s.start // of the line
		for i := 0; ; {
			for i < len(text) && isSpace(text[i]) {
				if text[i] == '\n' {
					s.line++
					begin = i + 1
				}
				i++
			}
			from := i
			for i < len(text) && !isSpace(text[i]) {
				i++
			}
			if i == len(text) && !last && i-from <= maxWord || from == i {
				s.carry, s.start = text[from:], from-begin
				return
			}
			if !yield(word{text[from:i], s.line + 1, from - begin + 1}) {
				return
			}
		}
	}
}

func isSpace(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
