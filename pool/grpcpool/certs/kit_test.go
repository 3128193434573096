package certs

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
)

// meeting is what came of a connection.
type meeting struct {
	server, client *tls.Conn
	// serverErr and clientErr are what each side saw until the first byte came
	// from the server: a client learns only then that it was turned away.
	serverErr, clientErr error
}

// meet lets a server and a client shake hands.
func meet(t *testing.T, server, client *tls.Config) meeting {
	t.Helper()
	a, b := connection(t)
	// Only so that a mistake does not hang the test.
	_ = a.SetDeadline(time.Now().Add(time.Minute))
	_ = b.SetDeadline(time.Now().Add(time.Minute))

	m := meeting{server: tls.Server(a, server), client: tls.Client(b, client)}
	done := make(chan error, 1)
	go func() {
		err := m.server.Handshake()
		if err == nil {
			_, err = m.server.Write([]byte{'!'})
		}
		if err != nil {
			a.Close()
		}
		done <- err
	}()
	_, m.clientErr = io.ReadFull(m.client, make([]byte, 1))
	if m.clientErr != nil {
		b.Close()
	}
	m.serverErr = <-done
	return m
}

// connection returns both ends of a TCP connection: net.Pipe has no buffer, and two
// sides that both have something to say first would wait for each other.
func connection(t *testing.T) (a, b net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	b, err = net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	a, err = listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func (m meeting) requireGood(t *testing.T) {
	t.Helper()
	require.NoError(t, m.serverErr)
	require.NoError(t, m.clientErr)
}

// serial returns the serial number of the certificate that the server showed.
func (m meeting) serial() string {
	return m.client.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func serialOf(p *certstest.Pair) string { return p.Leaf.SerialNumber.String() }

// talk sends a byte from one to the other.
func talk(t *testing.T, from, to *tls.Conn) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write([]byte{'?'})
		sent <- err
	}()
	_, err := io.ReadFull(to, make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, <-sent)
}

// newServer returns a server with files of its own.
func newServer(t *testing.T, p *certstest.Pair, trusted *certstest.CA, options ...Option) (*Reloader, string) {
	t.Helper()
	dir := t.TempDir()
	r, err := Server(Files(certstest.Write(t, dir, p, trusted)), options...)
	require.NoError(t, err)
	return r, dir
}

// newClient returns a client with files of its own; a nil pair is for none.
func newClient(t *testing.T, p *certstest.Pair, trusted *certstest.CA, name string, options ...Option) (*Reloader, string) {
	t.Helper()
	dir := t.TempDir()
	files := Files(certstest.Write(t, dir, p, trusted))
	if p == nil {
		files.Cert, files.Key = "", ""
	}
	r, err := Client(files, name, options...)
	require.NoError(t, err)
	return r, dir
}
