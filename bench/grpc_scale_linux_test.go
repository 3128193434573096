package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
)

// BenchmarkScale has 65,536 leases live at a server, the real program on a bolt
// store, and kills and restarts it:
//
//	go test -run '^$' -bench Scale -benchtime 5x ./bench
//
// ready-ms is from starting it to the first lease that it grants, of the one node
// that is free; list-ms is what "lease list --json" of all of them takes. anon-MB is
// the memory of the server without mapped files: with all leases live, after a
// restart, after as many renewals as there are leases, and after the list. An op is
// one restart and all that follows.
func BenchmarkScale(b *testing.B) {
	s := newScaled(b)
	s.start()
	s.lease()
	s.renew()
	spent := map[string]float64{}
	most := map[string]float64{"anon-MB": s.anon()}
	for b.Loop() { // the leases are taken once
		require.NoError(b, s.clients[0].Release(b.Context(), giveBack(s.leases[0].Grant)))
		s.kill()
		began := time.Now()
		s.start()
		s.leases[0] = s.first()
		spent["ready-ms"] += ms(began)
		most["anon-MB-restarted"] = max(most["anon-MB-restarted"], s.anon())
		s.renew()
		most["anon-MB-renewed"] = max(most["anon-MB-renewed"], s.anon())
		began = time.Now()
		s.list()
		spent["list-ms"] += ms(began)
		most["anon-MB-listed"] = max(most["anon-MB-listed"], s.anon())
	}
	for name, sum := range spent {
		b.ReportMetric(sum/float64(b.N), name)
	}
	for name, value := range most {
		b.ReportMetric(value, name)
	}
}

func ms(began time.Time) float64 { return time.Since(began).Seconds() * 1e3 }

// scaled is a server with a lease of every node.
type scaled struct {
	*testing.B

	program string
	folder  string
	address string
	layout  layout.Layout
	server  *exec.Cmd
	clients []pool.Pool
	leases  []*renewed
}

func newScaled(b *testing.B) *scaled {
	b.Helper()
	s := &scaled{B: b, folder: b.TempDir(), layout: parseLayout(b, fullNodes)}
	s.program = filepath.Join(s.folder, "easyflake-cli")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", s.program, "../cmd/easyflake-cli")
	out, err := build.CombinedOutput()
	require.NoError(b, err, "%s", out)
	// Long enough that nothing ends while it is measured.
	config := "namespaces:\n  - name: " + poolNamespace + "\n    layout: " + fullNodes +
		"\n    first_window: 30m\n    window: 30m\n    horizon: 1h\n"
	require.NoError(b, os.WriteFile(filepath.Join(s.folder, "config.yaml"), []byte(config), 0o600))
	l, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b, err)
	s.address = l.Addr().String()
	require.NoError(b, l.Close())
	at, err := grpcpool.ParseEndpoint(s.address)
	require.NoError(b, err)
	for range grpcConnections {
		c, err := grpcpool.NewClient([]grpcpool.Endpoint{at})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, c.Close()) })
		s.clients = append(s.clients, c)
	}
	b.Cleanup(func() {
		if s.server != nil {
			s.kill()
		}
	})
	return s
}

func (s *scaled) start() {
	s.Helper()
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(s, err)
	// Not bound to the benchmark's context, which ends before its clean-up.
	s.server = exec.CommandContext(context.Background(), s.program, "grpc", "-p", port, "--log-level", "warn",
		"--config", filepath.Join(s.folder, "config.yaml"), "--store", "bolt:"+filepath.Join(s.folder, "store"))
	s.server.Stderr = os.Stderr
	require.NoError(s, s.server.Start())
}

func (s *scaled) kill() {
	s.Helper()
	require.NoError(s, s.server.Process.Signal(syscall.SIGKILL))
	_ = s.server.Wait() // it was killed
	s.server = nil
}

// first asks until the server grants a lease, each time by a client of its own, as a
// connection that was refused waits before it tries again.
func (s *scaled) first() *renewed {
	s.Helper()
	at, err := grpcpool.ParseEndpoint(s.address)
	require.NoError(s, err)
	token := pool.NewToken()
	for began := time.Now(); ; {
		c, err := grpcpool.NewClient([]grpcpool.Endpoint{at})
		require.NoError(s, err)
		g, err := c.Acquire(s.Context(), poolNamespace, s.layout, token)
		require.NoError(s, c.Close())
		if err == nil {
			return &renewed{g}
		}
		require.Less(s, time.Since(began), time.Minute, "%v", err)
		time.Sleep(time.Millisecond)
	}
}

// lease leases all nodes.
func (s *scaled) lease() {
	s.Helper()
	s.leases = make([]*renewed, s.layout.MaxNode()+1)
	s.leases[0] = s.first()
	inParallel(s, len(s.leases)-1, func(i int64) error {
		g, err := s.clients[int(i)%len(s.clients)].Acquire(s.Context(), poolNamespace, s.layout, pool.NewToken())
		s.leases[i] = &renewed{g}
		return err //nolint:wrapcheck // as it is
	})
}

// renew renews all leases.
func (s *scaled) renew() {
	s.Helper()
	inParallel(s, len(s.leases), func(i int64) error {
		p := s.clients[int(i)%len(s.clients)]
		err := s.leases[i-1].renew(s.Context(), p)
		for range 100 { // a connection to a server that was killed takes a moment
			if err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
			err = s.leases[i-1].renew(s.Context(), p)
		}
		return err
	})
}

// list lists all leases by the program.
func (s *scaled) list() {
	s.Helper()
	command := exec.CommandContext(s.Context(), s.program, "lease", "list", "--json", "--namespace", poolNamespace, "--pool", "grpc://"+s.address)
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(s, err)
	require.Equal(s, len(s.leases), bytes.Count(out, []byte("\n")))
}

// anon returns how many MB (10^6 bytes) the server has that are of no file.
func (s *scaled) anon() float64 {
	s.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.server.Process.Pid))
	require.NoError(s, err)
	_, rest, found := strings.Cut(string(text), "RssAnon:")
	require.True(s, found)
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	require.NoError(s, err)
	return kib * 1024 / 1e6
}
