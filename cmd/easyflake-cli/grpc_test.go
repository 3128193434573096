//go:build !windows

package main

// These tests need datagram sockets in the file system, by which a server tells that
// it is ready, and Windows has none.

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

// served is a server of the program's, in process.
type served struct {
	*trial

	socket  string
	said    chan string // what it told systemd
	hangup  chan os.Signal
	cancel  context.CancelCauseFunc
	ended   chan int
	text    *safeBuffer // stderr
	ending  sync.Once
	status  int
	console *net.UnixConn
}

// safeBuffer may be read while it is written to.
type safeBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// serveIn starts a server with a state folder, at a socket unless the arguments say
// otherwise, and returns once it answers or has ended.
func serveIn(t *testing.T, state string, args ...string) *served {
	t.Helper()
	s := &served{
		socket: filepath.Join(t.TempDir(), "s"), // short enough for a socket's name
		said:   make(chan string, 100), hangup: make(chan os.Signal, 1), ended: make(chan int, 1), text: new(safeBuffer),
	}
	if !strings.Contains(strings.Join(args, " "), "-H ") {
		args = append(args, "-H", "unix:"+s.socket)
	}
	s.trial = newLeaseTrial(t, state, append([]string{"grpc"}, args...)...)
	s.stderr = s.text
	s.hosting.hangups = func() (<-chan os.Signal, func()) { return s.hangup, func() {} }
	notify := filepath.Join(t.TempDir(), "n")
	var err error
	s.console, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	require.NoError(t, err)
	s.env["NOTIFY_SOCKET"] = notify
	var ctx context.Context
	ctx, s.cancel = context.WithCancelCause(context.Background())
	var working sync.WaitGroup
	working.Go(func() { s.ended <- s.runUntil(ctx) })
	working.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, err := s.console.Read(buffer)
			if err != nil {
				return
			}
			s.said <- string(buffer[:n])
		}
	})
	t.Cleanup(func() {
		s.end(t)
		_ = s.console.Close()
		working.Wait()
	})
	select {
	case text := <-s.said:
		if strings.Contains(text, "READY=1") {
			return s
		}
		s.status = <-s.ended
	case s.status = <-s.ended:
	}
	s.ending.Do(func() {}) // it has ended by itself
	return s
}

// end has the server end, as by SIGTERM, and returns its exit status.
func (s *served) end(t *testing.T) int {
	t.Helper()
	s.ending.Do(func() {
		s.cancel(&interruptedError{signal: syscall.SIGTERM})
		s.status = <-s.ended
	})
	return s.status
}

// reload sends SIGHUP, and waits until the server has done what it asks for.
func (s *served) reload(t *testing.T) {
	t.Helper()
	s.hangup <- syscall.SIGHUP
	for text := range s.said {
		if strings.Contains(text, "READY=1") {
			return
		}
	}
}

// pool is the server's, for --pool.
func (s *served) pool() string { return "unix:" + s.socket }

// remote runs a command that must succeed.
func remote(t *testing.T, args ...string) string {
	t.Helper()
	return leaseOutput(t, t.TempDir(), args...)
}

// fails runs a command that must fail with a status and these words.
func fails(t *testing.T, status int, args []string, words ...string) {
	t.Helper()
	r := newLeaseTrial(t, t.TempDir(), args...)
	assert.Equal(t, status, r.run(), "stderr: %s", &r.err)
	for _, w := range words {
		assert.Contains(t, r.err.String(), w)
	}
	assert.Empty(t, r.out.String())
	assert.Equal(t, 1, strings.Count(r.err.String(), appName+": "), "said once: %s", &r.err)
}

func TestServerHasAllThatAPoolHas(t *testing.T) {
	state := t.TempDir()
	s := serveIn(t, state, "--namespace", "orders=twitter", "--layout", wide, "--namespace", "jobs=node=2,sequence=8")
	require.Equal(t, statusOK, s.status, s.text)
	on := func(args ...string) []string { return append(args, "--pool", s.pool()) }

	all := register{}
	for range 3 {
		assert.Equal(t, 100, all.add(t, remote(t, on("next", "-n", "100", "--layout", wide)...)))
	}
	remote(t, on("next", "--layout", "twitter")...)
	remote(t, on("next", "--namespace", "jobs", "--layout", "node=2,sequence=8")...)
	assert.Contains(t, remote(t, on("namespace", "list")...), "jobs")
	assert.Contains(t, remote(t, on("namespace", "create", "users", "--layout", "discord")...), "created namespace users")
	remote(t, on("next", "--layout", "discord")...)
	assert.Contains(t, remote(t, on("namespace", "accept-clock", "users")...), "namespace users goes by the clock of the server unix:"+s.socket+": 20")
	assert.Len(t, objects(t, remote(t, on("lease", "list", "--namespace", "users", "--json")...)), 1)
	assert.Contains(t, remote(t, on("lease", "retire", "3", "--namespace", "jobs")...), "retired")

	c, err := grpcpool.NewClient([]grpcpool.Endpoint{{Path: s.socket}})
	require.NoError(t, err)
	defer c.Close()
	l, err := layout.Parse("twitter")
	require.NoError(t, err)
	g, err := c.Acquire(t.Context(), "orders", l, pool.NewToken())
	require.NoError(t, err)
	assert.Contains(t, remote(t, on("lease", "revoke", fmt.Sprint(g.Node), "--namespace", "orders")...), "revoked")

	fails(t, 1, on("next", "--namespace", "order"), `there is no namespace "order"`, `"orders"`)
	fails(t, 1, on("next", "--namespace", "orders", "--layout", "discord"), `namespace "orders" has the layout`)
	fails(t, 1, on("lease", "revoke", "900", "--namespace", "orders"), "no holder")
	fails(t, 1, on("namespace", "create", "orders", "--layout", "discord"), "exists already")
	fails(t, 2, on("lease", "list"), "name one with --namespace")
	fails(t, 2, on("namespace", "list", "--restored"), "easyflake-cli grpc")
	assert.Equal(t, statusOK, s.end(t), s.text)
	assert.NoFileExists(t, s.socket)
	fails(t, 1, on("next"), "server unix:"+s.socket)

	// Started again, with nothing said, it has what it had.
	again := serveIn(t, state)
	assert.Contains(t, remote(t, "namespace", "list", "--pool", again.pool()), "users")
}

func TestServerMemory(t *testing.T) {
	s := serveIn(t, t.TempDir(), "--store", "memory:", "--fresh")
	remote(t, "next", "--pool", s.pool())
	assert.Equal(t, statusOK, s.end(t), s.text)
	s = serveIn(t, t.TempDir(), "--store", "memory:")
	fails(t, 1, []string{"next", "--pool", s.pool()}, "no window can begin yet; try again in")
	assert.Contains(t, s.text.String(), "--fresh")
}

// TestServerRestored: a store that was put back grants nothing for a while.
func TestServerRestored(t *testing.T) {
	state := t.TempDir()
	s := serveIn(t, state)
	remote(t, "next", "--pool", s.pool())
	assert.Equal(t, statusOK, s.end(t))
	s = serveIn(t, state, "--restored")
	fails(t, 1, []string{"next", "--pool", s.pool()}, "no window can begin yet; try again in")
	assert.Equal(t, statusOK, s.end(t))

	require.NoError(t, os.Remove(filepath.Join(state, "easyflake", "pool")))
	s = serveIn(t, state)
	assert.Equal(t, statusFailed, s.status)
	assert.Contains(t, s.text.String(), "--restored")
}

func TestServerRefusesAnotherNamespaceThanItHas(t *testing.T) {
	state := t.TempDir()
	s := serveIn(t, state, "--layout", "twitter", "--by-hand", "0-9")
	require.Equal(t, statusOK, s.end(t), s.text)
	for args, words := range map[string]string{
		"--layout discord":                "has the layout",
		"--layout twitter":                "0-9 by-hand",
		"--layout twitter --by-hand 0-8":  "0-9 by-hand",
		"--namespace default=sonyflake":   "has the layout",
		"--layout twitter --legacy-nodes": "",
	} {
		if words == "" {
			continue
		}
		s := serveIn(t, state, strings.Fields(args)...)
		assert.Equal(t, statusFailed, s.status, args)
		assert.Contains(t, s.text.String(), words, args)
	}
	// Who says nothing takes what there is.
	s = serveIn(t, state)
	assert.Contains(t, remote(t, "namespace", "list", "--pool", s.pool()), "by-hand")
}

const configText = `
namespaces:
  - name: orders
    layout: twitter
access:
  token_file: tokens
  permissions:
    - {identity: shop, namespace: "orders", actions: [lease], quota: 1}
    - {identity: ops, namespace: "*", actions: [look, manage]}
`

// write writes a file of a test.
func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestServerConfiguration(t *testing.T) {
	dir := t.TempDir()
	shop, ops := filepath.Join(dir, "shop.secret"), filepath.Join(dir, "ops.secret")
	tokens := remote(t, "secret", "shop", shop) + remote(t, "secret", "ops", ops)
	write(t, filepath.Join(dir, "tokens"), tokens)
	path := write(t, filepath.Join(dir, "pool.yaml"), configText)
	s := serveIn(t, dir, "--config", path)
	as := func(secret string, args ...string) []string {
		return append(args, "--pool", s.pool(), "--secret-file", secret)
	}
	remote(t, as(shop, "next", "--layout", "twitter")...)
	remote(t, as(ops, "lease", "list")...)
	fails(t, 1, as(ops, "next", "--layout", "twitter"), `"ops" has no permission to lease in namespace "orders"`)
	fails(t, 1, as(shop, "lease", "list"), `"shop" has no permission to look in namespace "orders"`)
	fails(t, 1, []string{"lease", "list", "--pool", s.pool()}, "not authenticated", "bearer token")
	fails(t, 1, as(filepath.Join(dir, "none"), "lease", "list"), "--secret-file")

	// Two at once are more than its quota.
	l, err := layout.Parse("twitter")
	require.NoError(t, err)
	c, err := grpcpool.NewClient([]grpcpool.Endpoint{{Path: s.socket}}, grpcpool.WithSecret(func() (string, error) { return readSecret(shop) }))
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Acquire(t.Context(), "orders", l, pool.NewToken())
	require.NoError(t, err)
	fails(t, 1, as(shop, "next", "--layout", "twitter"), "quota", "try again in")

	write(t, path, strings.ReplaceAll(configText, "quota: 1", "quota: 2")+"# jobs: none\n")
	s.reload(t)
	remote(t, as(shop, "next", "--layout", "twitter")...)
	// What is wrong changes nothing.
	write(t, path, strings.ReplaceAll(configText, "quota: 1", "quotas: 3"))
	s.reload(t)
	assert.Contains(t, s.text.String(), `"quotas"`)
	write(t, path, "namespaces: [{name: orders, layout: twitter}]\n")
	s.reload(t)
	assert.Contains(t, s.text.String(), "no longer has 'access'")
	fails(t, 1, []string{"lease", "list", "--pool", s.pool()}, "not authenticated")
	remote(t, as(shop, "next", "--layout", "twitter")...)
	write(t, path, strings.ReplaceAll(configText, "  - name: orders\n", "  - name: users\n    layout: discord\n  - name: orders\n"))
	s.reload(t)
	assert.Contains(t, remote(t, as(ops, "namespace", "list")...), "users")
	assert.Equal(t, statusOK, s.end(t), s.text)

	// Nobody's secret has been said.
	for _, secret := range []string{shop, ops} {
		text, err := readSecret(secret)
		require.NoError(t, err)
		assert.NotContains(t, s.text.String(), text)
	}
	fails(t, 1, []string{"secret", "shop", shop}, "exists already")
	fails(t, 2, []string{"secret", "two words", filepath.Join(dir, "x")}, "must be one word")
}

func TestServerTLS(t *testing.T) {
	dir := t.TempDir()
	ca := certstest.NewCA(t, "ca")
	paths := certstest.Write(t, dir, ca.Server(t, certstest.IP("127.0.0.1")), ca)
	clientDir := filepath.Join(dir, "client")
	require.NoError(t, os.Mkdir(clientDir, 0o700))
	mine := certstest.Write(t, clientDir, ca.Client(t, "shop"), ca)
	s := serveIn(t, dir, "-H", "127.0.0.1", "-p", "0", "--tls-cert", paths.Cert, "--tls-key", paths.Key, "--tls-client-ca", paths.CA)
	url := "grpc://" + addressOf(t, s)
	remote(t, "next", "--pool", url, "--tls-ca", mine.CA, "--tls-cert", mine.Cert, "--tls-key", mine.Key)
	fails(t, 1, []string{"next", "--pool", url, "--tls-ca", mine.CA}, "certificate")
	fails(t, 1, []string{"next", "--pool", url}, "server 127.0.0.1")
	fails(t, 1, []string{"next", "--pool", url, "--tls"}, "unknown authority")
	fails(t, 1, []string{"next", "--pool", url, "--tls-ca", mine.CA, "--tls-cert", mine.Cert, "--tls-key", mine.Key, "--tls-server-name", "pool.example.com"}, "pool.example.com")
	fails(t, 2, []string{"next", "--pool", url, "--tls-cert", mine.Cert}, "belong together")
	fails(t, 2, []string{"next", "--pool", url, "--tls", "--insecure"}, "contradicts")
	fails(t, 2, []string{"next", "--insecure"}, "--pool grpc://")
	assert.Equal(t, statusOK, s.end(t), s.text)

	require.NoError(t, os.Chmod(paths.Key, 0o640))
	s = serveIn(t, dir, "--tls-cert", paths.Cert, "--tls-key", paths.Key)
	assert.Equal(t, statusFailed, s.status)
	assert.Contains(t, s.text.String(), "chmod 600")
	s = serveIn(t, dir, "--tls-cert", paths.Cert, "--tls-key", paths.Key, "--tls-group-key")
	assert.Equal(t, statusOK, s.end(t), s.text)
}

// addressOf returns where a server listens, as it has logged.
func addressOf(t *testing.T, s *served) string {
	t.Helper()
	return factOf(t, s, "address")
}

// factOf returns what a server has logged of itself as it began to serve.
func factOf(t *testing.T, s *served, name string) string {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.text.String(), "msg=serving ") }, time.Minute, time.Millisecond)
	_, line, _ := strings.Cut(s.text.String(), "msg=serving ")
	line, _, _ = strings.Cut(line, "\n")
	_, value, ok := strings.Cut(" "+line, " "+name+"=")
	require.True(t, ok, s.text)
	value, _, _ = strings.Cut(value, " ")
	return value
}

// TestServerOfPython: streams of EasyFlake for Python at a port of their own, beside
// one with TLS that they could not reach.
func TestServerOfPython(t *testing.T) {
	dir := t.TempDir()
	paths := certstest.Write(t, dir, certstest.NewCA(t, "ca").Server(t))
	path := write(t, filepath.Join(dir, "pool.yaml"), `
namespaces: [{name: default, layout: easyflake, legacy: "250-251"}]
access: {permissions: [{identity: anonymous, namespace: default, actions: [legacy]}]}
`)
	s := serveIn(t, dir, "-H", "127.0.0.1", "-p", "0", "--tls-cert", paths.Cert, "--tls-key", paths.Key, "--config", path, "--legacy-listen", "127.0.0.1:0")
	require.Equal(t, statusOK, s.status, s.text)
	conn, err := grpc.NewClient("dns:///"+factOf(t, s, "legacy"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	var numbers []int64
	for range 2 {
		stream, err := sequencepb.NewSequenceClient(conn).LiveStream(t.Context(), &sequencepb.SequenceRequest{Bits: 8})
		require.NoError(t, err)
		reply, err := stream.Recv()
		require.NoError(t, err)
		numbers = append(numbers, reply.GetSequence())
	}
	assert.ElementsMatch(t, []int64{250, 251}, numbers)
	// The pool is not there, and neither is it for those whom nobody knows.
	_, err = poolv1.NewNodePoolClient(conn).Namespaces(t.Context(), &poolv1.NamespacesRequest{})
	assert.Equal(t, codes.Unimplemented, grpcstatus.Code(err))

	write(t, path, `
namespaces: [{name: default, layout: easyflake, legacy: "250-251"}]
access: {permissions: [{identity: anonymous, namespace: default, actions: [look]}]}
`)
	s.reload(t)
	stream, err := sequencepb.NewSequenceClient(conn).LiveStream(t.Context(), &sequencepb.SequenceRequest{Bits: 8})
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.PermissionDenied, grpcstatus.Code(err))
	assert.Equal(t, statusOK, s.end(t), s.text)
	fails(t, 2, []string{"grpc", "-p", "0", "--legacy-listen", "127.0.0.1:0"}, "--legacy-nodes")
}

func TestServerPages(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	state := t.TempDir()
	s := serveIn(t, state, "--http", address)
	assert.Equal(t, statusFailed, s.status)
	assert.Contains(t, s.text.String(), "another program has that port")
	require.NoError(t, free.Close())

	s = serveIn(t, state, "--http", address)
	require.Equal(t, statusOK, s.status, s.text)
	remote(t, "next", "--pool", s.pool())
	get := func(page string) (int, string) {
		t.Helper()
		reply, err := http.Get("http://" + address + page)
		require.NoError(t, err)
		defer reply.Body.Close()
		text, err := io.ReadAll(reply.Body)
		require.NoError(t, err)
		return reply.StatusCode, string(text)
	}
	for _, page := range []string{"/healthz", "/readyz"} {
		status, text := get(page)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "ok\n", text)
	}
	_, text := get("/metrics")
	for _, name := range []string{"easyflake_leases{", "easyflake_nodes{", "easyflake_pool_requests_total{", "easyflake_store_seconds", "grpc_server_handled_total{", "life"} {
		if !strings.Contains(text, name) { // which is long
			t.Errorf("there is no %s", name)
		}
	}
	status, _ := get("/")
	assert.Equal(t, http.StatusNotFound, status)
}

func TestServerBadInput(t *testing.T) {
	dir := t.TempDir()
	pair := certstest.Write(t, dir, certstest.NewCA(t, "ca").Server(t))
	bad := write(t, filepath.Join(dir, "bad.yaml"), "namespace:\n  - name: x\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	for _, c := range []struct {
		args   string
		status int
		words  string
	}{
		{"-H 0.0.0.0", 2, "--insecure"},
		{"-H pool.example.com", 2, "--insecure"},
		{"-H a/b", 2, "--host"},
		{"-p 70000", 2, "0 to 65535"},
		{"-p x", 2, "0 to 65535"},
		{"--tls-cert " + pair.Cert, 2, "belong together"},
		{"--tls-client-ca " + pair.Cert, 2, "--tls-cert"},
		{"--insecure --tls-cert " + pair.Cert + " --tls-key " + pair.Key, 2, "contradicts"},
		{"--tls-cert " + pair.Key + " --tls-key " + pair.Key, 1, pair.Key},
		{"--fresh", 2, "memory:"},
		{"--store mongo:", 2, "bolt:PATH"},
		{"--store redis:", 2, "must be redis://"},
		{"--store bolt:", 2, "bolt:PATH"},
		{"--store memory:x", 2, "memory:"},
		{"--http 9090", 2, "HOST:PORT"},
		{"--drain -1s", 2, "negative"},
		{"--max-connections 0", 2, "at least 1"},
		{"--layout nonsense", 2, "nonsense"},
		{"--by-hand 5-3", 2, "range"},
		{"--by-hand 0-256", 2, "between 0 and 255"},
		{"--legacy-nodes 0-9 --by-hand 9", 2, "overlaps"},
		{"--namespace orders", 2, "NAME=LAYOUT"},
		{"--namespace o/o=twitter", 2, "slashes"},
		{"--namespace a=twitter --namespace a=twitter", 2, "twice"},
		{"--log-file x", 2, "--daemon"},
		{"--config " + filepath.Join(dir, "none.yaml"), 1, "none.yaml"},
		{"--config " + bad, 1, `"namespaces"`},
		{"-p " + port, 1, "another program has that port"},
		{"-p 0 --store bolt:" + filepath.Join(bad, "x"), 1, "bad.yaml"},
		{"-p 0 --store bolt:" + bad, 1, "bad.yaml"},
		{"-p 0 --pid-file " + filepath.Join(dir, "no", "folder"), 1, "no/folder"},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := newLeaseTrial(t, t.TempDir(), append([]string{"grpc"}, strings.Fields(c.args)...)...)
			assert.Equal(t, c.status, r.run(), "stderr: %s", &r.err)
			assert.Contains(t, r.err.String(), c.words)
			assert.NotContains(t, r.err.String(), "msg=serving")
		})
	}
}

// TestServerEndsWithinItsBound, whatever clients do.
func TestServerEndsWithinItsBound(t *testing.T) {
	s := serveIn(t, t.TempDir(), "--drain", "100ms", "--legacy-nodes", "250-255")
	conn, err := net.Dial("unix", s.socket) // that never says a word
	require.NoError(t, err)
	defer conn.Close()
	c, err := grpcpool.NewClient([]grpcpool.Endpoint{{Path: s.socket}})
	require.NoError(t, err)
	defer c.Close()
	lease, err := pool.Acquire(t.Context(), c, defaultNamespace, layout.Default())
	require.NoError(t, err)
	ended := make(chan int)
	go func() { ended <- s.end(t) }()
	select {
	case status := <-ended:
		assert.Equal(t, statusOK, status, s.text)
	case <-time.After(30 * time.Second):
		t.Fatal("the server does not end")
	}
	require.Error(t, lease.Close())
	again := serveIn(t, s.env["XDG_STATE_HOME"], "-H", "unix:"+s.socket, "--legacy-nodes", "250-255")
	assert.Contains(t, remote(t, "lease", "list", "--pool", "unix:"+s.socket), "held")
	require.Equal(t, statusOK, again.end(t), again.text)
}
