package intercept

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// Listener returns l with its connections counted, from the moment they are
// accepted: also those that never say a word. It costs a call nothing, which
// gRPC's own handler of statistics would.
func (m *Metrics) Listener(l net.Listener) net.Listener { return &listener{Listener: l, metrics: m} }

type listener struct {
	net.Listener

	metrics *Metrics
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // gRPC looks at what it is
	}
	l.metrics.accepted.Inc()
	l.metrics.connections.Inc()
	return &connection{Conn: c, metrics: l.metrics}, nil
}

type connection struct {
	net.Conn

	metrics *Metrics
	closed  sync.Once
}

var _ syscall.Conn = (*connection)(nil)

// Close implements [net.Conn].
func (c *connection) Close() error {
	c.closed.Do(c.metrics.connections.Dec)
	return c.Conn.Close() //nolint:wrapcheck // as above
}

// SyscallConn implements [syscall.Conn], as far as the connection itself does, for
// those who ask the kernel about it.
func (c *connection) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn() //nolint:wrapcheck // as above
	}
	return nil, errors.ErrUnsupported
}
