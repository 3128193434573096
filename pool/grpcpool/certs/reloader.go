package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/easyflake/easyflake/clock"
)

// Reloader holds the material of a server or a client. It is safe for concurrent
// use. It has no goroutine: see [Reloader.Watch].
type Reloader struct {
	files    Files
	settings settings
	server   bool
	name     string // of the server, for a client

	current atomic.Pointer[material]

	// reading is held while files are read and taken, so that what was read
	// earlier does not replace what was read later. No connection waits for it.
	reading sync.Mutex
	sum     [sha256.Size]byte // of what was taken last
}

type settings struct {
	clock         clock.Clock
	requireClient bool
	groupKey      bool
}

// Option changes what [Server] and [Client] do.
type Option func(*settings)

// RequireClient makes a server refuse connections without a client certificate. It
// needs a CA, and means nothing to a client.
func RequireClient() Option { return func(s *settings) { s.requireClient = true } }

// AllowGroupKey allows a private key that its group can read, but not change, and
// others cannot use at all.
func AllowGroupKey() Option { return func(s *settings) { s.groupKey = true } }

// WithClock sets the clock that tells whether certificates are valid, ours and
// others'. It is [clock.System] unless given.
func WithClock(c clock.Clock) Option { return func(s *settings) { s.clock = c } }

// Server loads a server's material. A certificate that is not valid now is an
// error, for no client could connect.
func Server(files Files, options ...Option) (*Reloader, error) {
	r := newReloader(files, options)
	r.server = true
	switch {
	case files.Cert == "" || files.Key == "":
		return nil, fmt.Errorf("%w: a server needs a certificate and its private key", ErrFiles)
	case r.settings.requireClient && files.CA == "":
		return nil, fmt.Errorf("%w: to require client certificates, a server needs the CA that they are of", ErrFiles)
	}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// Client loads a client's material. The server's certificate has to be for
// serverName, a DNS name or an IP address; if that is empty, for the DNS name that
// is dialed, and dialing an address fails with [ErrNoName]: there
// [Reloader.TLSConfigFor] helps.
func Client(files Files, serverName string, options ...Option) (*Reloader, error) {
	r := newReloader(files, options)
	r.name = serverName
	if (files.Cert == "") != (files.Key == "") {
		return nil, fmt.Errorf("%w: a certificate and its private key come together", ErrFiles)
	}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

func newReloader(files Files, options []Option) *Reloader {
	r := &Reloader{files: files, settings: settings{clock: clock.System{}}}
	for _, o := range options {
		o(&r.settings)
	}
	return r
}

// Reload reads all files and takes them for new connections. With any error the
// material stays as it was.
func (r *Reloader) Reload() error {
	_, err := r.reload()
	return err
}

// reload reports whether what it took is new.
func (r *Reloader) reload() (changed bool, err error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	read, err := r.files.read(r.settings.groupKey)
	if err != nil {
		return false, err
	}
	sum := read.sum()
	if r.current.Load() != nil && sum == r.sum {
		return false, nil
	}
	m, err := r.files.load(read, r.now())
	if err != nil {
		return false, err
	}
	if r.server {
		m.server = r.serverConfig(m)
	}
	r.current.Store(m)
	r.sum = sum
	return true, nil
}

// NotAfter returns when the certificate shown to others ends, or one that leads
// from it to the CA, whichever is first; the zero Time for a client without one.
func (r *Reloader) NotAfter() time.Time { return r.current.Load().notAfter }

// TLSConfig returns a configuration that always uses the newest material. It may be
// cloned, as gRPC does, but not changed otherwise.
func (r *Reloader) TLSConfig() *tls.Config { return r.TLSConfigFor(r.name) }

// TLSConfigFor is TLSConfig for a client of the server of this name or address. A
// client of several servers makes one for each. A server's is the same for any
// name.
func (r *Reloader) TLSConfigFor(serverName string) *tls.Config {
	if r.server {
		c := r.base()
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return r.current.Load().server, nil
		}
		// Never asked, but without it some servers think that there is none.
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return r.current.Load().cert, nil
		}
		return c
	}
	return r.clientConfig(serverName)
}

// base is what all configurations have in common.
func (r *Reloader) base() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
		Time:                   r.now,
	}
}

func (r *Reloader) serverConfig(m *material) *tls.Config {
	c := r.base()
	c.Certificates = []tls.Certificate{*m.cert}
	c.ClientCAs = m.trusted
	switch {
	case r.settings.requireClient:
		c.ClientAuth = tls.RequireAndVerifyClientCert
	case m.trusted != nil:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c
}

func (r *Reloader) now() time.Time { return time.Unix(0, r.settings.clock.Now()) }
