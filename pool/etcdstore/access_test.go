package etcdstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/etcdstore/etcdtest"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
)

// Who may not get in, or not write, hears what to do.
func TestUsers(t *testing.T) {
	s := build(t, 1, quick)
	auth := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	auth(s.client.UserAdd(t.Context(), "root", "of all"))
	auth(s.client.UserGrantRole(t.Context(), "root", "root"))
	auth(s.client.RoleAdd(t.Context(), "writer"))
	auth(s.client.RoleGrantPermission(t.Context(), "writer", "ids/", clientv3.GetPrefixRangeEnd("ids/"), clientv3.PermissionType(clientv3.PermReadWrite)))
	auth(s.client.RoleAdd(t.Context(), "reader"))
	auth(s.client.RoleGrantPermission(t.Context(), "reader", "ids/", clientv3.GetPrefixRangeEnd("ids/"), clientv3.PermissionType(clientv3.PermRead)))
	for _, user := range []string{"writer", "reader"} {
		auth(s.client.UserAdd(t.Context(), user, "se/cret"))
		auth(s.client.UserGrantRole(t.Context(), user, user))
	}
	auth(s.client.AuthEnable(t.Context()))
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("se/cret\n"), 0o600))

	at := func(user, rest string) string { return "etcd://" + user + strings.Join(s.Endpoints(), ",") + rest }
	for text, want := range map[string]error{
		at("", "/ids"):                    ErrCredentials,
		at("writer:wrong@", "/ids"):       ErrCredentials,
		at("nobody:se%2Fcret@", "/ids"):   ErrCredentials,
		at("writer:se%2Fcret@", "/other"): ErrForbidden,
		at("writer:se%2Fcret@", ""):       ErrForbidden,
	} {
		_, err := OpenURL(t.Context(), text)
		require.ErrorIs(t, err, want, text)
		assert.NotContains(t, err.Error(), "wrong")
		assert.NotContains(t, err.Error(), "cret")
	}

	for _, text := range []string{at("writer:se%2Fcret@", "/ids"), at("writer@", "/ids?password-file="+file)} {
		store, err := OpenURL(t.Context(), text)
		require.NoError(t, err)
		p := pool.New(store)
		if err := p.CreateNamespace(t.Context(), pool.NewNamespace(name, layout.Default())); err != nil {
			require.ErrorIs(t, err, pool.ErrExists)
		}
		_, err = p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
		require.NoError(t, err)
		require.NoError(t, p.Close())
	}
	store, err := OpenURL(t.Context(), at("reader:se%2Fcret@", "/ids"))
	require.NoError(t, err)
	defer store.Close()
	names, err := store.Namespaces(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{name}, names)
	_, err = store.Write(t.Context(), pool.Write{Namespace: "new", OfNamespace: true})
	require.ErrorIs(t, err, ErrForbidden)
}

// Nobody there, somebody who says nothing, and somebody who speaks without TLS.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { // takes connections, and keeps them
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() //nolint:gocritic // it stays open until then
		}
	})
	defer serving.Wait()
	defer l.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	for what, c := range map[string]struct {
		endpoint string
		opts     []Option
	}{
		"gone":            {gone.Addr().String(), nil},
		"gone, with user": {gone.Addr().String(), []Option{WithUser("u", "secret")}},
		"silent":          {l.Addr().String(), nil},
		"silent, TLS":     {l.Addr().String(), []Option{WithTLS(&tls.Config{MinVersion: tls.VersionTLS13})}},
		"silent, user":    {l.Addr().String(), []Option{WithUser("u", "secret")}},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Open(t.Context(), []string{c.endpoint}, append(c.opts, WithTimeout(300*time.Millisecond), WithAttemptTimeout(100*time.Millisecond))...)
			require.ErrorIs(t, err, ErrUnreachable)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Open(ctx, []string{gone.Addr().String()})
	require.ErrorIs(t, err, context.Canceled)
}

// What a URL says of certificates is what a connection is made with, either way.
func TestTLS(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	server := certstest.Write(t, t.TempDir(), ca.Server(t), ca)
	client := certstest.Write(t, t.TempDir(), ca.Client(t, "pool"), ca)
	foreign := certstest.Write(t, t.TempDir(), certstest.NewCA(t, "foreign").Client(t, "pool"), certstest.NewCA(t, "foreign"))
	named := certstest.Write(t, t.TempDir(), ca.Server(t, certstest.DNS("etcd.example.com"), func(c *x509.Certificate) { c.IPAddresses = nil }), ca)
	start := func(as certstest.Paths) string {
		c := etcdtest.Start(t, 1, quick, "--cert-file", as.Cert, "--key-file", as.Key, "--trusted-ca-file", as.CA, "--client-cert-auth")
		return c.SecureEndpoints()[0]
	}
	one, other := start(server), start(named)
	plain := etcdtest.Start(t, 1, quick).Endpoints()[0]
	identity := "&cert=" + client.Cert + "&key=" + client.Key
	for what, c := range map[string]struct {
		url   string
		fails string // "" if it works
	}{
		"no TLS there":           {"etcds://" + plain + "?ca=" + client.CA, "whether they want TLS"},
		"as it should be":        {"etcds://" + one + "?ca=" + client.CA + identity, ""},
		"by its files alone":     {"etcd://" + one + "?ca=" + client.CA + identity, ""},
		"without encryption":     {"etcd://" + one, "whether they want TLS"},
		"no authority":           {"etcds://" + one + "?tls=true" + identity, "certificate signed by unknown authority"},
		"another authority":      {"etcds://" + one + "?ca=" + foreign.CA + identity, "certificate signed by unknown authority"},
		"no certificate":         {"etcds://" + one + "?ca=" + client.CA, "certificate required"},
		"another's certificate":  {"etcds://" + one + "?ca=" + client.CA + "&cert=" + foreign.Cert + "&key=" + foreign.Key, "certificate required"},
		"another name":           {"etcds://" + other + "?ca=" + client.CA + identity, "doesn't contain any IP SANs"},
		"another name, and said": {"etcds://" + other + "?ca=" + client.CA + identity + "&server-name=etcd.example.com", ""},
	} {
		t.Run(what, func(t *testing.T) {
			if c.fails != "" {
				t.Parallel() // they wait
				_, err := OpenURL(t.Context(), c.url, WithTimeout(2*time.Second), WithAttemptTimeout(time.Second))
				require.ErrorContains(t, err, c.fails)
				kind := ErrTLS
				if strings.Contains(c.fails, "want TLS") {
					kind = ErrUnreachable
				}
				require.ErrorIs(t, err, kind)
				return
			}
			store, err := OpenURL(t.Context(), c.url)
			require.NoError(t, err)
			defer store.Close()
			revision, err := store.Write(t.Context(), pool.Write{Namespace: what, OfNamespace: true, Value: []byte("x")})
			require.NoError(t, err)
			r, err := store.Namespace(t.Context(), what)
			require.NoError(t, err)
			assert.Equal(t, revision, r.Revision)
		})
	}
}

func TestBadOptions(t *testing.T) {
	for what, c := range map[string]struct {
		endpoints []string
		opts      []Option
	}{
		"no endpoint":      {nil, nil},
		"a scheme":         {[]string{"http://a"}, nil},
		"no prefix":        {[]string{"a"}, []Option{WithPrefix("")}},
		"no password":      {[]string{"a"}, []Option{WithUser("u", "")}},
		"attempt too long": {[]string{"a"}, []Option{WithTimeout(1), WithAttemptTimeout(2)}},
		"no attempt":       {[]string{"a"}, []Option{WithAttemptTimeout(0)}},
	} {
		_, err := Open(t.Context(), c.endpoints, c.opts...)
		var field *layout.FieldError
		require.ErrorAs(t, err, &field, what)
	}
}

// What TLS has said explains only why nobody answers, and only for a while.
func TestRefusalExplainsSilence(t *testing.T) {
	o, err := newOptions(nil)
	require.NoError(t, err)
	s := o.store(nil, true)
	for _, broken := range []error{io.EOF, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, context.DeadlineExceeded} {
		s.refused.note(broken)
		require.ErrorIs(t, s.explain(context.DeadlineExceeded), ErrUnreachable)
	}
	s.refused.note(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}})
	require.ErrorIs(t, s.explain(context.DeadlineExceeded), ErrTLS)
	for _, said := range []error{rpctypes.ErrGRPCNoLeader, rpctypes.ErrGRPCTimeout, rpctypes.ErrGRPCNoSpace} {
		require.NotErrorIs(t, s.explain(said), ErrTLS)
	}
	s.refused.last.Load().at -= int64(refusedFor)
	require.ErrorIs(t, s.explain(context.DeadlineExceeded), ErrUnreachable)
}
