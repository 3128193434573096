package grpcpool

import (
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"
)

// handshakes are a server's credentials that log why a connection was refused:
// with TLS 1.3 a client learns at most that it was, for by then it has begun to
// speak.
type handshakes struct {
	credentials.TransportCredentials

	log   *slog.Logger
	lines *lines
}

// ServerHandshake implements [credentials.TransportCredentials].
func (h *handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := h.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		if unsaid, ok := h.lines.may(); ok {
			h.log.Info("a connection was refused", "peer", conn.RemoteAddr().String(), "error", err, "unsaid", unsaid)
		}
	}
	return secure, info, err //nolint:wrapcheck // gRPC looks at it
}

// Clone implements [credentials.TransportCredentials].
func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{TransportCredentials: h.TransportCredentials.Clone(), log: h.log, lines: h.lines}
}
