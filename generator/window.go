package generator

import "github.com/easyflake/easyflake/layout"

// grant opens a window, as Source describes.
func (c *core) grant(w layout.Window) error {
	w.Until = min(w.Until, c.layout.MaxTick()+1)
	if err := c.layout.CheckWindow(w); err != nil {
		return err
	}
	w.From = max(w.From, 1) // tick 0 counts as used up: there is no word below it
	if w.IsEmpty() {
		return &layout.FieldError{Field: "window", Value: w, Reason: "allows no tick: it must end after it begins"}
	}
	if w.From > c.ticks.last {
		return &layout.FieldError{Field: "window", Value: w, Reason: "begins after 2262-04-11, where clocks of nanoseconds end"}
	}
	s := newSnapshot(c.layout, w, c.clock.Now())

	c.control.Lock()
	defer c.control.Unlock()
	if c.closed {
		return ErrClosed
	}
	if s.continues(c.window.Load()) {
		// Whoever still has the old one is held to the earlier end: no harm.
		c.window.Store(s)
	} else {
		c.replace(s)
	}
	c.announce()
	return nil
}

// replace puts a window in the place of another, or of none. First the word is
// marked: of all that was begun with the old window, nothing can be reserved any
// more. Then the window changes, then the word loses its mark. It must have grown
// meanwhile: if it could be what it was before, a reservation that had read both
// word and window before all this would still succeed, under the old window.
//
// It needs control.
func (c *core) replace(s *snapshot) {
	word := c.strategy.seal()
	c.window.Store(s)
	// The new window's ticks come after all that were begun.
	next := max(s.from<<c.sequenceBits-1, word|c.mask)
	if c.moved && next == word {
		next += c.mask + 1
	}
	c.moved = true
	if next < mark { // else there is no such tick, and the word stays marked
		c.strategy.move(next)
	}
}

// seal ends the window in force, as Source describes.
func (c *core) seal() (last int64) {
	c.control.Lock()
	defer c.control.Unlock()
	return c.end()
}

// end marks the word, takes the window away, and returns the last tick reserved
// under it. It needs control.
func (c *core) end() (last int64) {
	last = int64(c.strategy.seal() >> c.sequenceBits)
	if s := c.window.Load(); !s.empty() {
		// The word may stand further on, on ticks that it was moved over.
		last = max(int64(s.from)-1, min(last, int64(s.until)-1))
		c.window.Store(new(snapshot))
		c.announce()
	}
	return last
}

// announce tells those who wait for a window that there is another. It needs
// control.
func (c *core) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// change returns a channel that is closed when the window changes next.
func (c *core) change() <-chan struct{} {
	c.control.Lock()
	defer c.control.Unlock()
	return c.changed
}

// Close ends the generator: calls of it return [ErrClosed], those that wait as
// well. It reports the last tick to the source, which a later generator can then
// have. Closing again does nothing; when it returns, the source is free. The error
// is always nil.
func (c *core) Close() error {
	c.closing.Do(func() {
		c.control.Lock()
		c.closed = true
		c.cancel()
		last := c.end()
		c.control.Unlock()
		// Not under the lock: the source may be calling grant or seal.
		c.source.Detach(last)
	})
	return nil
}

// LastTick returns the highest tick in which numbers were reserved, those of
// blocks that were not used up included; before the first, the tick before the
// window.
func (c *core) LastTick() int64 { return int64(c.strategy.load() >> c.sequenceBits) }
