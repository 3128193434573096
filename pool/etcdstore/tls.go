package etcdstore

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
)

// refusal is why the latest attempt to encrypt a connection came to nothing. etcd's
// client has only "context deadline exceeded" to say of it.
type refusal struct{ last atomic.Pointer[error] }

func (r *refusal) note(err error) { r.last.Store(&err) }

// reason returns nil where nothing was refused since the last success.
func (r *refusal) reason() error {
	if last := r.last.Load(); last != nil {
		return *last
	}
	return nil
}

// handshakes is TLS that notes what was refused. If it has a name, that is what all
// members are called in their certificates: etcd's client tells gRPC each one's address
// as its name, which comes before that of a [tls.Config].
type handshakes struct {
	credentials.TransportCredentials

	name    string
	refused *refusal
}

// ClientHandshake implements [credentials.TransportCredentials].
func (h *handshakes) ClientHandshake(ctx context.Context, name string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if h.name != "" {
		name = h.name
	}
	encrypted, info, err := h.TransportCredentials.ClientHandshake(ctx, name, conn)
	if err == nil {
		return &alerted{encrypted, h.refused}, info, nil
	}
	if ctx.Err() == nil { // nobody was in too much of a hurry to hear it
		h.refused.note(err)
	}
	return nil, nil, err //nolint:wrapcheck // gRPC reads it
}

// Clone implements [credentials.TransportCredentials].
func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{h.TransportCredentials.Clone(), h.name, h.refused}
}

// alerted is a connection that notes what the other end thinks of this one's
// certificate. With TLS 1.3 that comes when the handshake is over here, in place of the
// first answer.
type alerted struct {
	net.Conn

	refused *refusal
}

func (c *alerted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		if c.refused.last.Load() != nil {
			c.refused.last.Store(nil)
		}
	} else if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		c.refused.note(err)
	}
	return n, err //nolint:wrapcheck // gRPC reads it
}
