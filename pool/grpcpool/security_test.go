package grpcpool_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/certs"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
)

// secured is a server with certificates, secrets and permissions.
type secured struct {
	*running

	ca     *certstest.CA
	paths  certstest.Paths
	certs  *certs.Reloader
	secret string // billing's
	log    *logText
}

// logText is all that a server has logged.
type logText struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// secure starts a server at which shop may have two leases of orders, by
// certificate; billing may lease and manage all, by a secret; audit may look. Every
// client has to show a certificate.
func secure(t *testing.T) *secured {
	t.Helper()
	ca := certstest.NewCA(t, "ca")
	s := &secured{ca: ca, paths: certstest.Write(t, t.TempDir(), ca.Server(t), ca), log: new(logText)}
	var hash string
	s.secret, hash = access.NewSecret()
	h, err := access.ParseHash(hash)
	require.NoError(t, err)
	policy, err := access.New(access.Config{
		Identities: []access.IdentityConfig{
			{Name: "shop", Certificates: []access.Match{{CommonName: "shop"}}},
			{Name: "audit", Certificates: []access.Match{{URI: "spiffe://example.org/audit"}}},
			{Name: "nobody", Certificates: []access.Match{{CommonName: "nobody"}}},
		},
		Tokens: []access.Token{{Name: "billing", Hash: h}},
		Permissions: []access.Permission{
			{Identity: "shop", Namespace: "ord*", Actions: []access.Action{access.Lease}, Quota: 2},
			{Identity: "billing", Namespace: "*", Actions: []access.Action{access.Lease, access.Look, access.Manage}},
			{Identity: "audit", Namespace: orders, Actions: []access.Action{access.Look}},
		},
	})
	require.NoError(t, err)
	s.certs, err = certs.Server(certs.Files(s.paths), certs.RequireClient())
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	current := func() *access.Policy { return policy }
	s.running = listen(t, newPool(t, pool.NewMemory(clock.System{}, true)),
		grpcpool.WithTLS(s.certs.TLSConfig()), grpcpool.WithPolicy(current), grpcpool.WithServerLogger(log),
		grpcpool.WithInterceptors(intercept.Chain(
			intercept.NewLog(log, clock.System{}, intercept.WithIdentity(grpcpool.IdentityOf(current))),
			intercept.NewRecover(log, clock.System{}, nil),
		)))
	return s
}

// as returns a client that shows a certificate; nil for none.
func (s *secured) as(t *testing.T, pair *certstest.Pair, opts ...grpcpool.ClientOption) *grpcpool.Client {
	t.Helper()
	config := &tls.Config{RootCAs: s.ca.Pool(), MinVersion: tls.VersionTLS13, ServerName: "127.0.0.1"}
	if pair != nil {
		config.Certificates = []tls.Certificate{pair.TLS(t)}
	}
	opts = append(opts, grpcpool.WithClientTLS(func(string) *tls.Config { return config }))
	return client(t, []grpcpool.Endpoint{s.Endpoint}, opts...)
}

func acquire(t *testing.T, c *grpcpool.Client) (pool.Grant, error) {
	t.Helper()
	return c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
}

func TestTLSRefusesStrangers(t *testing.T) {
	s := secure(t)
	other := certstest.NewCA(t, "ca")
	for name, c := range map[string]struct {
		client *grpcpool.Client
		words  string
	}{
		"no certificate":                  {s.as(t, nil), "certificate"},
		"of a wrong authority":            {s.as(t, other.Client(t, "shop")), "certificate"},
		"one that is over":                {s.as(t, s.ca.Client(t, "shop", certstest.Expired())), "certificate"},
		"the server's authority is wrong": {(&secured{running: s.running, ca: other}).as(t, s.ca.Client(t, "shop")), "unknown authority"},
		"plaintext":                       {client(t, []grpcpool.Endpoint{s.Endpoint}, grpcpool.WithInsecure()), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := acquire(t, c.client)
			require.ErrorAs(t, err, new(*grpcpool.CallError))
			assert.Equal(t, codes.Unavailable, status.Code(errors.Unwrap(err)))
			assert.Contains(t, err.Error(), c.words)
		})
	}
	// With TLS 1.3 a client may not hear why; the operator does, soon after it.
	for _, why := range []string{"didn't provide a certificate", "unknown authority", "has expired"} {
		assert.Eventually(t, func() bool { return strings.Contains(s.log.String(), why) }, 30*time.Second, time.Millisecond, why)
	}
	_, err := acquire(t, s.as(t, s.ca.Client(t, "shop")))
	require.NoError(t, err)
}

func TestWhoMayDoWhat(t *testing.T) {
	s := secure(t)
	shop := s.as(t, s.ca.Client(t, "shop"))
	audit := s.as(t, s.ca.Client(t, "audit", certstest.URI("spiffe://example.org/audit")))
	nobody := s.as(t, s.ca.Client(t, "nobody"))
	denied := func(err error, identity, namespace, action string) {
		t.Helper()
		got := new(access.DeniedError)
		require.ErrorAs(t, err, &got)
		assert.Equal(t, access.DeniedError{Identity: identity, Namespace: namespace, Action: action}, *got)
	}
	look := func(c *grpcpool.Client) error {
		for _, err := range c.List(t.Context(), orders) {
			return err
		}
		return nil
	}
	g, err := acquire(t, shop)
	require.NoError(t, err)
	denied(look(shop), "shop", orders, "look")
	denied(shop.Revoke(t.Context(), orders, g.Node), "shop", orders, "manage")
	denied(shop.Retire(t.Context(), orders, g.Node), "shop", orders, "manage")
	denied(shop.AcceptClock(t.Context(), orders), "shop", orders, "manage")
	denied(shop.CreateNamespace(t.Context(), pool.NewNamespace("orders2", layout.Default())), "shop", "orders2", "manage")
	// Whether a namespace exists is not for everybody.
	_, err = shop.Acquire(t.Context(), "jobs", layout.Default(), pool.NewToken())
	denied(err, "shop", "jobs", "lease")

	require.NoError(t, look(audit))
	_, err = acquire(t, audit)
	denied(err, "audit", orders, "lease")
	_, err = audit.Renew(t.Context(), renewalOf(g))
	denied(err, "audit", orders, "lease")
	denied(audit.Release(t.Context(), pool.Release{Namespace: orders, Node: g.Node, Token: g.Token}), "audit", orders, "lease")
	_, err = acquire(t, nobody)
	denied(err, "nobody", orders, "lease")
	all, err := nobody.Namespaces(t.Context())
	require.NoError(t, err)
	assert.Empty(t, all)
	all, err = shop.Namespaces(t.Context())
	require.NoError(t, err)
	assert.Len(t, all, 1)

	for name, secret := range map[string]string{"an unknown secret": "easyflake_x", "a certificate of nobody": ""} {
		t.Run(name, func(t *testing.T) {
			c := s.as(t, s.ca.Client(t, "stranger"), grpcpool.WithSecret(func() (string, error) { return secret, nil }))
			_, err := acquire(t, c)
			require.ErrorIs(t, err, access.ErrUnauthenticated)
			_, err = c.Namespaces(t.Context())
			require.ErrorIs(t, err, access.ErrUnauthenticated)
		})
	}
}

func TestQuotaIsReached(t *testing.T) {
	s := secure(t)
	c := s.as(t, s.ca.Client(t, "shop"))
	g, err := acquire(t, c)
	require.NoError(t, err)
	_, err = acquire(t, c)
	require.NoError(t, err)
	_, err = acquire(t, c)
	quota := new(access.QuotaError)
	require.ErrorAs(t, err, &quota)
	assert.Equal(t, 2, quota.Limit)
	assert.Positive(t, quota.RetryAfter)
	_, err = c.Acquire(t.Context(), orders, layout.Default(), g.Token)
	require.NoError(t, err, "a repetition is no third lease")
	g, err = c.Renew(t.Context(), renewalOf(g))
	require.NoError(t, err, "and renewing is none either")
	bad := renewalOf(g)
	bad.Revision += 77
	_, err = c.Renew(t.Context(), bad)
	require.ErrorIs(t, err, pool.ErrLeaseLost)
	_, err = acquire(t, c)
	require.ErrorAs(t, err, &quota, "a bad renewal frees nothing")
	require.NoError(t, c.Release(t.Context(), pool.Release{Namespace: orders, Node: g.Node, Token: g.Token, Last: g.From - 1}))
	_, err = acquire(t, c)
	require.NoError(t, err)
	_, err = acquire(t, c)
	require.ErrorAs(t, err, &quota)
}

// TestCertificateIsReplacedWhileServing: connections that stand go on, new ones see
// the new certificate, also with another authority.
func TestCertificateIsReplacedWhileServing(t *testing.T) {
	s := secure(t)
	before := s.as(t, s.ca.Client(t, "shop"))
	g, err := acquire(t, before)
	require.NoError(t, err)

	old := s.ca
	s.ca = certstest.NewCA(t, "new")
	certstest.Write(t, filepath.Dir(s.paths.Cert), s.ca.Server(t), old, s.ca)
	require.NoError(t, s.certs.Reload())
	_, err = before.Renew(t.Context(), renewalOf(g))
	require.NoError(t, err)
	_, err = acquire(t, s.as(t, old.Client(t, "shop")))
	require.NoError(t, err)
	_, err = acquire(t, (&secured{running: s.running, ca: old}).as(t, old.Client(t, "shop")))
	require.ErrorContains(t, err, "unknown authority")
}

// TestNothingSecretIsLogged searches all that is said about requests of all kinds,
// good and bad, for their secrets.
func TestNothingSecretIsLogged(t *testing.T) {
	s := secure(t)
	c := s.as(t, s.ca.Client(t, "stranger"), grpcpool.WithSecret(func() (string, error) { return s.secret, nil }))
	_, err := acquire(t, c) // a certificate that is of nobody counts, too
	require.ErrorIs(t, err, access.ErrUnauthenticated)

	var tokens []pool.Token
	token := func() pool.Token {
		tokens = append(tokens, pool.NewToken())
		return tokens[len(tokens)-1]
	}
	shop := s.as(t, s.ca.Client(t, "shop"))
	g, err := shop.Acquire(t.Context(), orders, layout.Default(), token())
	require.NoError(t, err)
	r := renewalOf(g)
	tokens = append(tokens, r.Nonce)
	g, err = shop.Renew(t.Context(), r)
	require.NoError(t, err)
	r = renewalOf(g)
	r.Token = token()
	_, err = shop.Renew(t.Context(), r)
	require.ErrorIs(t, err, pool.ErrLeaseLost)
	_, err = shop.Acquire(t.Context(), "elsewhere", layout.Default(), token())
	require.Error(t, err)
	err = shop.Release(t.Context(), pool.Release{Namespace: orders, Node: g.Node, Token: g.Token, Last: g.Until + 1})
	require.ErrorIs(t, err, pool.ErrBadSeal)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s.Shutdown(ctx)

	said := s.log.String()
	require.Contains(t, said, "Acquire")
	require.Contains(t, said, "shop")
	assert.NotContains(t, said, s.secret)
	for _, token := range tokens {
		text, err := token.MarshalText()
		require.NoError(t, err)
		assert.NotContains(t, said, string(text))
		assert.NotContains(t, said, string(token[:]))
	}
	key, err := os.ReadFile(s.paths.Key)
	require.NoError(t, err)
	for line := range strings.Lines(string(key)) {
		assert.NotContains(t, said, strings.TrimSpace(line))
	}
}

// TestServerSpeaksTLS13Only, whatever its settings say.
func TestServerSpeaksTLS13Only(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	settings := &tls.Config{Certificates: []tls.Certificate{ca.Server(t).TLS(t)}, MinVersion: tls.VersionTLS12}
	settings.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return settings.Clone(), nil }
	r := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithTLS(settings))
	dial := func(most uint16) error {
		conn, err := tls.Dial("tcp", r.Endpoint.String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12, MaxVersion: most})
		if err == nil {
			conn.Close()
		}
		return err
	}
	require.Error(t, dial(tls.VersionTLS12))
	require.NoError(t, dial(tls.VersionTLS13))
}

// TestHearsayIsNoEvidence: a window that somebody unknown shows does not stop a
// namespace, where others are known.
func TestHearsayIsNoEvidence(t *testing.T) {
	policy, err := access.New(access.Config{Permissions: []access.Permission{
		{Identity: access.AnonymousName, Namespace: "*", Actions: []access.Action{access.Lease}},
	}})
	require.NoError(t, err)
	for _, known := range []*access.Policy{policy, access.Open()} {
		p := newPool(t, pool.NewMemory(clock.System{}, true))
		r := listen(t, p, grpcpool.WithPolicy(func() *access.Policy { return known }))
		c := client(t, []grpcpool.Endpoint{r.Endpoint})
		g, err := acquire(t, c)
		require.NoError(t, err)
		made := renewalOf(g)
		made.Token, made.Until = pool.NewToken(), g.Until+1
		_, err = c.Renew(t.Context(), made)
		require.ErrorIs(t, err, pool.ErrLeaseLost)
		all, err := p.Namespaces(t.Context())
		require.NoError(t, err)
		assert.Equal(t, known == policy, all[0].Floor == 0)
	}
}
