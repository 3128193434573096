package etcdstore

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/easyflake/easyflake/clock"
)

// refusal is why TLS has failed of late. etcd's client has only "context deadline
// exceeded" to say of it.
type refusal struct{ last atomic.Pointer[refused] }

type refused struct {
	err error
	at  int64 // Unix ns
}

// refusedFor is how long a refusal explains why there is no answer: more than passes
// between two attempts to connect.
const refusedFor = 5 * time.Second

// note keeps an error, if it is one of TLS, and not of a connection that broke.
func (r *refusal) note(err error) {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, otherwise := errors.AsType[tls.RecordHeaderError](err)
	op, alert := errors.AsType[*net.OpError](err)
	if certificate || otherwise || alert && (op.Op == "remote error" || op.Op == "local error") {
		r.last.Store(&refused{err, clock.System{}.Now()})
	}
}

// reason returns what explains that there was no answer just now, or nil.
func (r *refusal) reason() error {
	last := r.last.Load()
	if last == nil || (clock.System{}).Now()-last.at > int64(refusedFor) {
		return nil
	}
	return last.err
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
	h.refused.note(err)
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
	} else {
		c.refused.note(err)
	}
	return n, err //nolint:wrapcheck // gRPC reads it
}
