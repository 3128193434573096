package etcdtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Cluster is an etcd of some members, numbered from 0. It ends with the test that has
// started it. Its methods fail the test where they cannot do what they say.
type Cluster struct {
	tb      testing.TB
	program string
	initial string
	token   string
	flags   []string
	members []*member
}

// member is one server. The mutex owns what changes with a restart.
type member struct {
	name, dir, client, secure, peer string

	mu      sync.Mutex
	cmd     *exec.Cmd
	stdin   io.Closer
	log     bytes.Buffer
	ended   chan struct{}
	stopped bool
}

// Start starts an etcd with so many members, on free ports of the loopback interface
// and with their data in temporary folders, and waits until it serves. The flags are
// etcd's own, of each member. With --unsafe-no-fsync tests take a fraction of the
// time, and nothing is lost by [Cluster.Kill] either: the system goes on. With
// --cert-file they serve clients over TLS as well, at [Cluster.SecureEndpoints].
func Start(tb testing.TB, members int, flags ...string) *Cluster {
	tb.Helper()
	program, err := build()
	if err != nil {
		unavailable(tb, err)
	}
	// Another process may take a port between its choice and its use.
	for range 3 {
		c := &Cluster{tb: tb, program: program, flags: flags, token: fmt.Sprintf("easyflake-%d-%d", os.Getpid(), time.Now().UnixNano())}
		if err = c.start(members); err == nil {
			tb.Cleanup(c.stop)
			return c
		}
		c.stop()
	}
	unavailable(tb, err)
	return nil
}

func unavailable(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("etcdtest: %v", err)
	}
	tb.Skipf("etcdtest: no etcd can be started here: %v", err)
}

func (c *Cluster) start(members int) error {
	ports, err := free(3 * members)
	if err != nil {
		return err
	}
	var initial []string
	for i := range members {
		m := &member{name: fmt.Sprintf("m%d", i), dir: c.tb.TempDir(), client: ports[3*i], secure: ports[3*i+1], peer: ports[3*i+2]}
		c.members = append(c.members, m)
		initial = append(initial, m.name+"=http://"+m.peer)
	}
	c.initial = strings.Join(initial, ",")
	for _, m := range c.members {
		if err := c.run(m); err != nil {
			return err
		}
	}
	for _, m := range c.members {
		if err := m.serving(); err != nil {
			return err
		}
	}
	return nil
}

// free returns addresses that nobody listens on.
func free(n int) (all []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() //nolint:gocritic // all at once, or the same would be free again
		all = append(all, l.Addr().String())
	}
	return all, nil
}

func (c *Cluster) run(m *member) error {
	clients := "http://" + m.client
	if slices.Contains(c.flags, "--cert-file") {
		clients += ",https://" + m.secure
	}
	cmd := exec.Command(c.program, append([]string{
		"--name", m.name, "--data-dir", filepath.Join(m.dir, "data"),
		"--listen-client-urls", clients, "--advertise-client-urls", "http://" + m.client,
		"--listen-peer-urls", "http://" + m.peer, "--initial-advertise-peer-urls", "http://" + m.peer,
		"--initial-cluster", c.initial, "--initial-cluster-token", c.token, "--initial-cluster-state", "new",
		"--log-level", "warn", "--logger", "zap",
	}, c.flags...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log.Reset()
	cmd.Stdout, cmd.Stderr = &m.log, &m.log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	m.cmd, m.stdin, m.ended, m.stopped = cmd, stdin, ended, false
	go func() {
		_ = cmd.Wait() // it was killed
		close(ended)
	}()
	return nil
}

// serving waits until a member answers requests, which need a leader.
func (m *member) serving() error {
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := m.ask("/v3/kv/range", `{"key":"AA=="}`)
		if err == nil {
			return nil
		}
		select {
		case <-m.ended:
			return fmt.Errorf("member %s has ended:\n%s", m.name, m.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("member %s does not serve within a minute: %w", m.name, err)
		}
	}
}

// ask sends a request to a member, in JSON.
func (m *member) ask(path, body string) (map[string]any, error) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := client.Post("http://"+m.client+path, "application/json", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer func() { _ = reply.Body.Close() }()
	data, err := io.ReadAll(reply.Body)
	if err != nil {
		return nil, err
	}
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", path, reply.Status, data)
	}
	answer := make(map[string]any)
	err = json.Unmarshal(data, &answer)
	return answer, err
}

// Endpoints returns where the members serve clients: HOST:PORT each, in order.
func (c *Cluster) Endpoints() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.client)
	}
	return all
}

// SecureEndpoints returns where the members serve clients over TLS.
func (c *Cluster) SecureEndpoints() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.secure)
	}
	return all
}

// Leader waits until a member that runs calls itself the leader, and returns its
// number.
func (c *Cluster) Leader() int {
	c.tb.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for i, m := range c.members {
			if m.down() {
				continue
			}
			answer, err := m.ask("/v3/maintenance/status", "{}")
			if err != nil {
				continue
			}
			header, ok := answer["header"].(map[string]any)
			if ok && header["member_id"] != nil && header["member_id"] == answer["leader"] {
				return i
			}
		}
	}
	c.tb.Fatal("etcdtest: no member leads within a minute")
	return -1
}

func (m *member) down() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.ended:
		return true
	default:
		return m.stopped
	}
}

// Kill ends a member as the loss of its machine's power would, but for what the
// system has not written to the disk yet (SIGKILL).
func (c *Cluster) Kill(i int) { c.members[i].kill() }

func (m *member) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill() // may have ended
	<-m.ended
	_ = m.stdin.Close()
}

// Stop makes a member hang: its connections stay open, and nothing is answered
// (SIGSTOP).
func (c *Cluster) Stop(i int) {
	c.tb.Helper()
	c.members[i].signal(c.tb, true)
}

// Continue lets a member that hangs go on.
func (c *Cluster) Continue(i int) {
	c.tb.Helper()
	c.members[i].signal(c.tb, false)
}

func (m *member) signal(tb testing.TB, stop bool) {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	err := suspend(m.cmd.Process, stop)
	if errors.Is(err, errors.ErrUnsupported) {
		tb.Skip("etcdtest: this system cannot make a process hang")
	}
	if err != nil {
		tb.Fatalf("etcdtest: member %s: %v", m.name, err)
	}
	m.stopped = stop
}

// Restart starts a member that was killed, on the same data, and waits until it
// serves. A majority must run.
func (c *Cluster) Restart(i int) {
	c.tb.Helper()
	m := c.members[i]
	m.kill()
	if err := c.run(m); err != nil {
		c.tb.Fatalf("etcdtest: %v", err)
	}
	if err := m.serving(); err != nil {
		c.tb.Fatalf("etcdtest: %v", err)
	}
}

func (c *Cluster) stop() {
	for _, m := range c.members {
		m.kill()
	}
}
