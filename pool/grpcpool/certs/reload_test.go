package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
)

func errorAs[E error](err error) (E, bool) { return errors.AsType[E](err) }

func TestReplacedWhileServing(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	first, second := ca.Server(t), ca.Server(t)
	server, dir := newServer(t, first, ca)
	client, _ := newClient(t, nil, ca, "localhost")
	serving, dialing := server.TLSConfig().Clone(), client.TLSConfig().Clone()

	old := meet(t, serving, dialing)
	old.requireGood(t)
	assert.Equal(t, serialOf(first), old.serial())

	certstest.Write(t, dir, second)
	assert.Equal(t, serialOf(first), meet(t, serving, dialing).serial(), "nobody has reloaded yet")
	require.NoError(t, server.Reload())

	fresh := meet(t, serving, dialing)
	fresh.requireGood(t)
	assert.Equal(t, serialOf(second), fresh.serial())
	talk(t, old.client, old.server)
	talk(t, old.server, old.client)
}

func TestClientCertificateReplaced(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	server, _ := newServer(t, ca.Server(t), ca, RequireClient())
	client, dir := newClient(t, ca.Client(t, "one"), ca, "localhost")
	dialing := client.TLSConfig().Clone()

	certstest.Write(t, dir, ca.Client(t, "two"))
	require.NoError(t, client.Reload())
	m := meet(t, server.TLSConfig(), dialing)
	m.requireGood(t)
	assert.Equal(t, "two", m.server.ConnectionState().PeerCertificates[0].Subject.CommonName)
}

// TestAuthorityExchanged goes the way an operator goes: trust both, exchange the
// certificates, trust the new one alone.
func TestAuthorityExchanged(t *testing.T) {
	old, next := certstest.NewCA(t, "old"), certstest.NewCA(t, "new")
	server, serverDir := newServer(t, old.Server(t), old, RequireClient())
	client, clientDir := newClient(t, old.Client(t, "billing"), old, "localhost")
	serving, dialing := server.TLSConfig().Clone(), client.TLSConfig().Clone()
	reload := func() {
		require.NoError(t, server.Reload())
		require.NoError(t, client.Reload())
	}
	meet(t, serving, dialing).requireGood(t)

	certstest.Write(t, serverDir, nil, old, next)
	certstest.Write(t, clientDir, nil, old, next)
	reload()
	meet(t, serving, dialing).requireGood(t)

	certstest.Write(t, serverDir, next.Server(t))
	require.NoError(t, server.Reload())
	meet(t, serving, dialing).requireGood(t)

	certstest.Write(t, serverDir, nil, next)
	require.NoError(t, server.Reload())
	m := meet(t, serving, dialing)
	require.ErrorContains(t, m.serverErr, "unknown authority", "the client still has the old certificate")

	certstest.Write(t, clientDir, next.Client(t, "billing"), next)
	reload()
	meet(t, serving, dialing).requireGood(t)
	m = meet(t, &tls.Config{Certificates: []tls.Certificate{old.Server(t).TLS(t)}, MinVersion: tls.VersionTLS13}, dialing)
	require.ErrorContains(t, m.clientErr, "unknown authority")
}

// TestBadFiles starts with each, and reloads with each: the first fails, the
// second keeps what was there.
func TestBadFiles(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	good, other := ca.Server(t), ca.Server(t)
	over, early := ca.Server(t, certstest.Expired()), ca.Server(t, certstest.NotYet())
	expired := certstest.NewCA(t, "expired", certstest.Expired())
	half := func(data []byte) []byte { return data[:len(data)-40] }
	put := func(path func(certstest.Paths) string, data []byte) func(*testing.T, certstest.Paths) {
		return func(t *testing.T, p certstest.Paths) { t.Helper(); certstest.Replace(t, path(p), data) }
	}
	cert := func(p certstest.Paths) string { return p.Cert }
	key := func(p certstest.Paths) string { return p.Key }
	trusted := func(p certstest.Paths) string { return p.CA }
	remove := func(path func(certstest.Paths) string) func(*testing.T, certstest.Paths) {
		return func(t *testing.T, p certstest.Paths) { t.Helper(); require.NoError(t, os.Remove(path(p))) }
	}

	tests := map[string]struct {
		spoil   func(*testing.T, certstest.Paths)
		message string
	}{
		"no certificate":        {remove(cert), "tls.crt: cannot be opened"},
		"no key":                {remove(key), "tls.key: cannot be opened"},
		"no authority":          {remove(trusted), "ca.crt: cannot be opened"},
		"empty certificate":     {put(cert, nil), "tls.crt: holds no certificate"},
		"empty key":             {put(key, nil), "tls.key: holds no private key"},
		"empty authority":       {put(trusted, nil), "ca.crt: holds no certificate"},
		"garbage certificate":   {put(cert, []byte("garbage")), "tls.crt: holds no certificate"},
		"garbage key":           {put(key, []byte("garbage")), "tls.key: holds no private key"},
		"garbage in PEM":        {put(key, []byte("-----BEGIN PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END PRIVATE KEY-----\n")), "do not go together"},
		"garbage authority":     {put(trusted, []byte("-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n")), "ca.crt: certificate 1 cannot be read"},
		"key for certificate":   {put(cert, good.Key), "tls.crt: holds no certificate"},
		"certificate for key":   {put(key, good.Cert), "tls.key: holds no private key"},
		"half a certificate":    {put(cert, half(good.Cert)), "not complete"},
		"half an authority":     {put(trusted, append(append([]byte{}, ca.Cert...), half(other.Cert)...)), "not complete"},
		"another's key":         {put(key, other.Key), "do not go together"},
		"another's certificate": {put(cert, other.Cert), "do not go together"},
		"over":                  {func(t *testing.T, p certstest.Paths) { t.Helper(); certstest.Write(t, filepath.Dir(p.Cert), over) }, "renew it"},
		"not yet valid":         {func(t *testing.T, p certstest.Paths) { t.Helper(); certstest.Write(t, filepath.Dir(p.Cert), early) }, "wait"},
		"authority over":        {put(trusted, expired.Cert), "renew it"},
		"a folder": {func(t *testing.T, p certstest.Paths) {
			t.Helper()
			require.NoError(t, os.Remove(p.CA))
			require.NoError(t, os.Mkdir(p.CA, 0o700))
		}, "ca.crt: is not a regular file"},
		"too long": {put(trusted, append(make([]byte, maxFile), ca.Cert...)), "ca.crt: is longer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			paths := certstest.Write(t, t.TempDir(), good, ca)
			server, err := Server(Files(paths))
			require.NoError(t, err)
			test.spoil(t, paths)

			_, err = Server(Files(paths))
			require.ErrorContains(t, err, test.message)
			require.ErrorContains(t, server.Reload(), test.message)
			for line := range strings.Lines(string(good.Key) + string(other.Key)) {
				if !strings.HasPrefix(line, "-----") {
					require.NotContains(t, err.Error(), strings.TrimSpace(line), "a key in a message")
				}
			}
			client, _ := newClient(t, nil, ca, "localhost")
			m := meet(t, server.TLSConfig(), client.TLSConfig())
			m.requireGood(t)
			assert.Equal(t, serialOf(good), m.serial())
		})
	}
}

func TestErrorsAreTyped(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	dir := t.TempDir()
	paths := certstest.Write(t, dir, ca.Server(t, certstest.Expired()), ca)
	_, err := Server(Files(paths))
	validity, ok := errorAs[*ValidityError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, paths.Cert, validity.Path)

	certstest.Replace(t, paths.Key, ca.Server(t).Key)
	_, err = Server(Files(paths))
	require.ErrorIs(t, err, ErrMismatch)

	_, err = Server(Files{Cert: paths.Cert})
	require.ErrorIs(t, err, ErrFiles)
	_, err = Server(Files{Cert: paths.Cert, Key: paths.Key}, RequireClient())
	require.ErrorIs(t, err, ErrFiles)
	_, err = Client(Files{Key: paths.Key}, "localhost")
	require.ErrorIs(t, err, ErrFiles)
	_, err = Client(Files{CA: filepath.Join(dir, "none")}, "localhost")
	require.ErrorIs(t, err, os.ErrNotExist)
	file, ok := errorAs[*FileError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, filepath.Join(dir, "none"), file.Path)
}

func TestKeyMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing about who can read a file on Windows")
	}
	ca := certstest.NewCA(t, "ca")
	tests := []struct {
		mode         os.FileMode
		plain, group bool // allowed
	}{
		{0o600, true, true},
		{0o400, true, true},
		{0o700, true, true},
		{0o640, false, true},
		{0o440, false, true},
		{0o660, false, false},
		{0o650, false, false},
		{0o604, false, false},
		{0o644, false, false},
		{0o602, false, false},
		{0o601, false, false},
	}
	for _, test := range tests {
		paths := certstest.Write(t, t.TempDir(), ca.Server(t), ca)
		require.NoError(t, os.Chmod(paths.Key, test.mode))
		// Through a link, whose own mode is 0777.
		link := filepath.Join(filepath.Dir(paths.Key), "link")
		require.NoError(t, os.Symlink(paths.Key, link))
		for _, key := range []string{paths.Key, link} {
			files := Files{Cert: paths.Cert, Key: key, CA: paths.CA}
			_, err := Server(files)
			assert.Equal(t, test.plain, err == nil, "%04o: %v", test.mode, err)
			if err != nil {
				mode, ok := errorAs[*KeyModeError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, KeyModeError{Path: key, Mode: test.mode}, *mode)
				assert.Contains(t, err.Error(), "chmod 600 "+key)
			}
			_, err = Client(files, "localhost", AllowGroupKey())
			assert.Equal(t, test.group, err == nil, "%04o: %v", test.mode, err)
			if err != nil {
				assert.Contains(t, err.Error(), "chmod 640 "+key)
			}
		}
	}
}

// watched is a watched server on a fake clock.
type watched struct {
	*Reloader
	t       *testing.T
	clock   *clocktest.Clock
	reports chan error
}

func watch(t *testing.T, r *Reloader) *watched {
	t.Helper()
	w := &watched{Reloader: r, t: t, clock: clocktest.New(time.Now()), reports: make(chan error, 16)}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		r.Watch(ctx, w.clock, 10*time.Second, func(err error) { w.reports <- err })
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	require.NoError(t, w.clock.BlockUntil(ctx, 1))
	return w
}

// look lets the watcher look once, and returns what it reports.
func (w *watched) look() []error {
	w.t.Helper()
	w.clock.Advance(10 * time.Second)
	require.NoError(w.t, w.clock.BlockUntil(w.t.Context(), 1))
	var all []error
	for {
		select {
		case err := <-w.reports:
			all = append(all, err)
		default:
			return all
		}
	}
}

func (w *watched) shows(ca *certstest.CA) string {
	w.t.Helper()
	client, _ := newClient(w.t, nil, ca, "localhost")
	m := meet(w.t, w.TLSConfig(), client.TLSConfig())
	m.requireGood(w.t)
	return m.serial()
}

func TestWatch(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	first, second, third := ca.Server(t), ca.Server(t), ca.Server(t)
	r, dir := newServer(t, first, ca)
	w := watch(t, r)
	paths := certstest.In(dir)
	assert.Empty(t, w.look(), "nothing has changed")

	// Half of a pair, then the other half.
	certstest.Replace(t, paths.Cert, second.Cert)
	reports := w.look()
	require.Len(t, reports, 1)
	require.ErrorIs(t, reports[0], ErrMismatch)
	assert.Equal(t, serialOf(first), w.shows(ca))
	assert.Empty(t, w.look(), "the same trouble")
	certstest.Replace(t, paths.Key, second.Key)
	assert.Equal(t, []error{nil}, w.look())
	assert.Equal(t, serialOf(second), w.shows(ca))

	// Garbage, then what was there before.
	certstest.Replace(t, paths.Cert, []byte("garbage"))
	require.Len(t, w.look(), 1)
	certstest.Replace(t, paths.Cert, second.Cert)
	assert.Equal(t, []error{nil}, w.look(), "the trouble is over")
	assert.Empty(t, w.look())

	// Overwritten in place, with the times that it had.
	times, err := os.Stat(paths.Cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(paths.Key, third.Key, 0o600))
	require.NoError(t, os.WriteFile(paths.Cert, third.Cert, 0o600))
	require.NoError(t, os.Chtimes(paths.Cert, times.ModTime(), times.ModTime()))
	assert.Equal(t, []error{nil}, w.look())
	assert.Equal(t, serialOf(third), w.shows(ca))

	// One that is over.
	certstest.Write(t, dir, ca.Server(t, certstest.Expired()))
	reports = w.look()
	require.Len(t, reports, 1)
	_, ok := errorAs[*ValidityError](reports[0])
	assert.True(t, ok, "%v", reports[0])
	assert.Empty(t, w.look(), "the same trouble")
	assert.Equal(t, serialOf(third), w.shows(ca))
}

// TestWatchFollowsLinks changes the link that all files lie behind, as Kubernetes
// does.
func TestWatchFollowsLinks(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	first, second := ca.Server(t), ca.Server(t)
	dir := t.TempDir()
	for version, pair := range map[string]*certstest.Pair{"..1": first, "..2": second} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		certstest.Write(t, filepath.Join(dir, version), pair, ca)
	}
	point := func(version string) {
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(version, link); err != nil {
			t.Skip("this system or user cannot make symbolic links:", err)
		}
		require.NoError(t, os.Rename(link, filepath.Join(dir, "..data")))
	}
	point("..1")
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	r, err := Server(Files(certstest.In(dir)))
	require.NoError(t, err)
	w := watch(t, r)
	assert.Equal(t, serialOf(first), w.shows(ca))
	point("..2")
	assert.Equal(t, []error{nil}, w.look())
	assert.Equal(t, serialOf(second), w.shows(ca))
}

// TestReloadBesideHandshakes is for the race detector: each connection sees one
// pair or the other, whole.
func TestReloadBesideHandshakes(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	pairs := []*certstest.Pair{ca.Server(t), ca.Server(t)}
	server, dir := newServer(t, pairs[0], ca)
	client, _ := newClient(t, ca.Client(t, "billing"), ca, "localhost")
	serving, dialing := server.TLSConfig(), client.TLSConfig()

	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 50 {
				_ = server.Reload() // a half-replaced pair is refused
				_ = client.Reload()
			}
		})
	}
	group.Go(func() {
		for i := range 50 {
			certstest.Write(t, dir, pairs[i%2])
		}
	})
	for range 50 {
		m := meet(t, serving, dialing)
		m.requireGood(t)
		assert.Contains(t, []string{serialOf(pairs[0]), serialOf(pairs[1])}, m.serial())
	}
	group.Wait()
}
