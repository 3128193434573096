package certs

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
)

func TestMutualTLS(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	server, _ := newServer(t, ca.Server(t), ca, RequireClient())
	client, _ := newClient(t, ca.Client(t, "billing"), ca, "localhost")

	m := meet(t, server.TLSConfig(), client.TLSConfig())
	m.requireGood(t)

	seen := m.server.ConnectionState()
	assert.Equal(t, uint16(tls.VersionTLS13), seen.Version)
	assert.Equal(t, "h2", seen.NegotiatedProtocol, "gRPC needs it")
	require.NotEmpty(t, seen.VerifiedChains)
	assert.Equal(t, "billing", seen.VerifiedChains[0][0].Subject.CommonName)
	talk(t, m.client, m.server)
	talk(t, m.server, m.client)
}

// TestClientJudgesTheServer shows that package tls, which is told not to verify,
// is missed in nothing.
func TestClientJudgesTheServer(t *testing.T) {
	ca, other := certstest.NewCA(t, "ca"), certstest.NewCA(t, "ca")
	tests := map[string]struct {
		server  *certstest.Pair
		name    string // given
		dialed  string // by what copies the configuration
		message string // "" where all is well
	}{
		"a name":                     {server: ca.Server(t), name: "localhost"},
		"an address":                 {server: ca.Server(t), name: "127.0.0.1"},
		"an IPv6 address":            {server: ca.Server(t), name: "::1"},
		"the name dialed":            {server: ca.Server(t), dialed: "localhost"},
		"the address dialed":         {server: ca.Server(t), dialed: "127.0.0.1", message: "no server name"},
		"a wildcard":                 {server: ca.Server(t, certstest.DNS("*.example.org")), name: "pool.example.org"},
		"another authority":          {server: other.Server(t), name: "localhost", message: "unknown authority"},
		"another name":               {server: ca.Server(t), name: "pool.example.org", message: "valid for localhost"},
		"another address":            {server: ca.Server(t), name: "127.0.0.2", message: "127.0.0.2"},
		"another name dialed":        {server: ca.Server(t), dialed: "pool.example.org", message: "valid for localhost"},
		"a name given, one dialed":   {server: ca.Server(t), name: "pool.example.org", dialed: "localhost", message: "valid for localhost"},
		"a certificate of a client":  {server: ca.Client(t, "localhost", certstest.DNS("localhost")), name: "localhost", message: "incompatible key usage"},
		"a certificate that is over": {server: ca.Server(t, certstest.Expired()), name: "localhost", message: "expired"},
		"one that is not yet valid":  {server: ca.Server(t, certstest.NotYet()), name: "localhost", message: "not yet valid"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, _ := newClient(t, nil, ca, test.name)
			config := client.TLSConfig().Clone()
			if test.dialed != "" {
				config.ServerName = test.dialed
			}
			m := meet(t, &tls.Config{Certificates: []tls.Certificate{test.server.TLS(t)}, MinVersion: tls.VersionTLS13}, config)
			if test.message == "" {
				m.requireGood(t)
				return
			}
			require.ErrorContains(t, m.clientErr, test.message)
			require.Error(t, m.serverErr)
		})
	}
}

func TestClientOfSeveralServers(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	server, _ := newServer(t, ca.Server(t), ca)
	client, _ := newClient(t, nil, ca, "")

	meet(t, server.TLSConfig(), client.TLSConfigFor("127.0.0.1")).requireGood(t)
	m := meet(t, server.TLSConfig(), client.TLSConfigFor("127.0.0.2"))
	_, typed := errorAs[*tls.CertificateVerificationError](m.clientErr)
	assert.True(t, typed, "%v", m.clientErr)
}

func TestServerJudgesTheClient(t *testing.T) {
	ca, other := certstest.NewCA(t, "ca"), certstest.NewCA(t, "ca")
	tests := map[string]struct {
		client   *certstest.Pair
		optional bool
		message  string
	}{
		"good":                      {client: ca.Client(t, "billing")},
		"none":                      {message: "didn't provide a certificate"},
		"none, and none required":   {optional: true},
		"another authority":         {client: other.Client(t, "billing"), message: "unknown authority"},
		"the same, none required":   {client: other.Client(t, "billing"), optional: true, message: "unknown authority"},
		"over":                      {client: ca.Client(t, "billing", certstest.Expired()), message: "expired"},
		"not yet valid":             {client: ca.Client(t, "billing", certstest.NotYet()), message: "not yet valid"},
		"a certificate of a server": {client: ca.Server(t), message: "incompatible key usage"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			options := []Option{RequireClient()}
			if test.optional {
				options = nil
			}
			server, _ := newServer(t, ca.Server(t), ca, options...)
			// Not ours, which would not show some of these.
			config := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13}
			if test.client != nil {
				pair := test.client.TLS(t)
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			m := meet(t, server.TLSConfig(), config)
			if test.message == "" {
				m.requireGood(t)
				return
			}
			require.ErrorContains(t, m.serverErr, test.message)
			require.Error(t, m.clientErr)
		})
	}
}

func TestServerWithoutCAAsksNobody(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	paths := certstest.Write(t, t.TempDir(), ca.Server(t))
	server, err := Server(Files{Cert: paths.Cert, Key: paths.Key})
	require.NoError(t, err)
	client, _ := newClient(t, ca.Client(t, "billing"), ca, "localhost")

	m := meet(t, server.TLSConfig(), client.TLSConfig())
	m.requireGood(t)
	assert.Empty(t, m.server.ConnectionState().PeerCertificates, "an identity that nobody has verified")
}

func TestOlderTLSIsRefused(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	server, _ := newServer(t, ca.Server(t), ca)
	client, _ := newClient(t, nil, ca, "localhost")

	m := meet(t, server.TLSConfig(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MaxVersion: tls.VersionTLS12})
	require.ErrorContains(t, m.serverErr, "unsupported versions")
	m = meet(t, &tls.Config{Certificates: []tls.Certificate{ca.Server(t).TLS(t)}, MaxVersion: tls.VersionTLS12}, client.TLSConfig())
	require.ErrorContains(t, m.clientErr, "protocol version not supported")
}

// TestValidityGoesByTheClock lets two days pass.
func TestValidityGoesByTheClock(t *testing.T) {
	ca := certstest.NewCA(t, "ca", certstest.Valid(time.Now().Add(-time.Hour), time.Now().Add(240*time.Hour)))
	clock := clocktest.New(time.Now())
	server, _ := newServer(t, ca.Server(t), ca, WithClock(clock))
	long := certstest.Valid(time.Now().Add(-time.Hour), time.Now().Add(240*time.Hour))

	client, _ := newClient(t, ca.Client(t, "billing"), ca, "localhost")
	meet(t, server.TLSConfig(), client.TLSConfig()).requireGood(t)

	clock.Advance(48 * time.Hour)
	m := meet(t, server.TLSConfig(), client.TLSConfig())
	require.ErrorContains(t, m.serverErr, "expired", "the client's")
	client, _ = newClient(t, ca.Client(t, "billing", long), ca, "localhost", WithClock(clock))
	m = meet(t, server.TLSConfig(), client.TLSConfig())
	require.ErrorContains(t, m.clientErr, "expired", "the server's")
}

// TestNothingIsResumed meets a client twice that would like to resume, with its
// authority replaced meanwhile.
func TestNothingIsResumed(t *testing.T) {
	old, next := certstest.NewCA(t, "old"), certstest.NewCA(t, "new")
	pair := old.Server(t)
	server, dir := newServer(t, pair, old, RequireClient())
	config := &tls.Config{
		RootCAs: old.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13,
		Certificates:       []tls.Certificate{old.Client(t, "billing").TLS(t)},
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	for range 3 {
		m := meet(t, server.TLSConfig(), config)
		m.requireGood(t)
		assert.False(t, m.server.ConnectionState().DidResume)
		assert.NotEmpty(t, m.server.ConnectionState().VerifiedChains)
	}
	// The one configuration, as a server has it.
	same := server.TLSConfig()
	for range 3 {
		m := meet(t, same, config)
		m.requireGood(t)
		assert.False(t, m.server.ConnectionState().DidResume)
	}

	certstest.Write(t, dir, nil, next)
	require.NoError(t, server.Reload())
	require.Error(t, meet(t, same, config).serverErr)
}

func TestNotAfter(t *testing.T) {
	ca := certstest.NewCA(t, "ca", certstest.Valid(time.Now().Add(-time.Hour), time.Now().Add(2*time.Hour)))
	pair := ca.Server(t)
	server, dir := newServer(t, pair, ca)
	assert.Equal(t, pair.Leaf.NotAfter, server.NotAfter())

	// With the authority in the chain, which ends earlier.
	both := *pair
	both.Cert = append(append([]byte{}, pair.Cert...), ca.Cert...)
	certstest.Write(t, dir, &both)
	require.NoError(t, server.Reload())
	assert.Equal(t, ca.Leaf.NotAfter, server.NotAfter())

	client, _ := newClient(t, nil, ca, "localhost")
	assert.Zero(t, client.NotAfter())
}

// TestSystemAuthorities has no file to trust: a test's authority is unknown then.
func TestSystemAuthorities(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	client, err := Client(Files{}, "localhost")
	require.NoError(t, err)
	server, _ := newServer(t, ca.Server(t), ca)
	m := meet(t, server.TLSConfig(), client.TLSConfig())
	_, unknown := errorAs[x509.UnknownAuthorityError](m.clientErr)
	_, noRoots := errorAs[x509.SystemRootsError](m.clientErr)
	assert.True(t, unknown || noRoots, "%v", m.clientErr)
}
