package grpcpool

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connections are those that a server has accepted: no more than most, for each costs
// memory and a file. gRPC does not know of one until it has introduced itself, and
// neither GracefulStop nor Stop ends it before: a single client that breaks off in the
// middle of that would hold up a shutdown.
type connections struct {
	most    int                           // 0: no bound
	refused func(from net.Addr, most int) // hears of those that were too many
	dropped atomic.Uint64                 // how many that were
	mu      sync.Mutex                    // owns the fields below
	all     map[*connection]struct{}      // open
	shut    bool                          // nobody who is not known is let in any more
}

// connection knows whether gRPC knows of it.
type connection struct {
	net.Conn

	known atomic.Bool
	of    *connections
	once  sync.Once
}

// SetDeadline implements [net.Conn]. gRPC gives a connection so long to introduce
// itself (TLS, if it is spoken, and the beginning of HTTP/2), and takes the deadline
// away when it has, or has failed to.
func (c *connection) SetDeadline(t time.Time) error {
	if t.IsZero() {
		c.known.Store(true)
	}
	return c.Conn.SetDeadline(t) //nolint:wrapcheck // gRPC looks at what it is
}

// Close implements [net.Conn].
func (c *connection) Close() error {
	c.once.Do(func() {
		c.of.mu.Lock()
		delete(c.of.all, c)
		c.of.mu.Unlock()
	})
	return c.Conn.Close() //nolint:wrapcheck // as above
}

// listener returns l with its connections known.
func (s *connections) listener(l net.Listener) net.Listener { return &listener{l, s} }

type listener struct {
	net.Listener

	of *connections
}

// Accept implements [net.Listener]. Connections that are too many are closed at once:
// they are not gRPC's to spend a goroutine on.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // gRPC looks at what it is
		}
		if c := l.of.admit(conn); c != nil {
			return c, nil
		}
		_ = conn.Close() // whoever it is sees that
	}
}

// admit returns what gRPC gets of a connection; nil where there are enough.
func (s *connections) admit(conn net.Conn) net.Conn {
	c := &connection{Conn: conn, of: s}
	s.mu.Lock()
	shut, full := s.shut, s.most > 0 && len(s.all) >= s.most
	if !shut && !full {
		s.all[c] = struct{}{}
	}
	s.mu.Unlock()
	switch {
	case shut:
		return nil
	case full:
		s.dropped.Add(1)
		s.refused(conn.RemoteAddr(), s.most)
		return nil
	}
	return c
}

// open returns how many there are.
func (s *connections) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// end closes connections: those that gRPC does not know of yet, or all of them.
func (s *connections) end(all bool) {
	s.mu.Lock()
	s.shut = true
	var ending []*connection
	for c := range s.all {
		if all || !c.known.Load() {
			ending = append(ending, c)
		}
	}
	s.mu.Unlock()
	for _, c := range ending {
		_ = c.Close() // there is nothing to be done about it
	}
}
