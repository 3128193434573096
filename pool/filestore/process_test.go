package filestore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/internal/boltfile"
)

const (
	workerEnv   = "EASYFLAKE_TEST_FILESTORE"
	workerNodes = 5
)

// TestMain makes the test program a worker where the environment asks for one.
func TestMain(m *testing.M) {
	if path := os.Getenv(workerEnv); path != "" {
		fmt.Fprintln(os.Stderr, worker(path))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// worker counts up the records of a few nodes until it is killed, and prints each
// count once it is acknowledged: "node count".
func worker(path string) error {
	ctx := context.Background()
	s, err := Open(path, WithCreate(), func(o *boltfile.Options) {
		// Now and then it dies where its write is in the file and nobody has
		// been told. Elsewhere it is killed from outside.
		o.AfterCommit = func() error {
			if rand.N(30) == 0 {
				self, err := os.FindProcess(os.Getpid())
				return errors.Join(err, self.Kill())
			}
			return nil
		}
	})
	if err != nil {
		return err
	}
	for {
		ns, err := s.Namespace(ctx, "n")
		if err != nil {
			return err
		}
		if ns.Revision == 0 {
			_, err := s.Write(ctx, pool.Write{Namespace: "n", OfNamespace: true})
			if err != nil && !errors.Is(err, pool.ErrConflict) {
				return err
			}
			continue
		}
		node := rand.Int64N(workerNodes)
		records, err := s.Nodes(ctx, "n", node, node)
		if err != nil {
			return err
		}
		w := pool.Write{Namespace: "n", NamespaceRevision: ns.Revision, Node: node}
		count := 0
		if len(records) > 0 {
			w.NodeRevision = records[0].Revision
			if count, err = strconv.Atoi(string(records[0].Value)); err != nil {
				return err
			}
		}
		w.Value = strconv.AppendInt(nil, int64(count+1), 10)
		switch _, err := s.Write(ctx, w); {
		case err == nil:
			fmt.Println(node, count+1)
		case !errors.Is(err, pool.ErrConflict):
			return err
		}
	}
}

// Processes that are killed at any instruction, from the first creation on, lose
// no write that was acknowledged, and no two are told that they made the same one.
func TestKilledProcesses(t *testing.T) {
	path := newPath(t)
	const workers, lives, kept = 3, 8, 20
	type report struct{ node, count int }
	reports := make(chan report)
	ended := make(chan struct{})
	for range workers {
		go func() {
			defer func() { ended <- struct{}{} }()
			for range lives {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
				cmd.Env = append(os.Environ(), workerEnv+"="+path)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if !assert.NoError(t, err) || !assert.NoError(t, cmd.Start()) {
					return
				}
				lines := bufio.NewScanner(out)
				for n := 0; lines.Scan(); n++ {
					var r report
					if _, err := fmt.Sscan(lines.Text(), &r.node, &r.count); err != nil {
						t.Errorf("a worker printed %q", lines.Text())
					}
					reports <- r
					if n == kept {
						// It goes on while this arrives.
						assert.NoError(t, cmd.Process.Kill())
					}
				}
				assert.Error(t, cmd.Wait(), "it must not end by itself")
				if cmd.ProcessState.Exited() {
					t.Errorf("a worker ended by itself: %v", cmd.ProcessState)
					return
				}
			}
		}()
	}
	acknowledged := make(map[report]bool)
	for running := workers; running > 0; {
		select {
		case r := <-reports:
			require.False(t, acknowledged[r], "two writers were told that they made count %d of node %d", r.count, r.node)
			acknowledged[r] = true
		case <-ended:
			running--
		}
	}
	s := openStore(t, path)
	assert.Empty(t, s.Doubtful())
	nodes, err := s.Nodes(t.Context(), "n", 0, workerNodes)
	require.NoError(t, err)
	written := 0
	last := make(map[int]int)
	for _, n := range nodes {
		count, err := strconv.Atoi(string(n.Value))
		require.NoError(t, err)
		written += count
		last[int(n.Node)] = count
	}
	for r := range acknowledged {
		require.LessOrEqual(t, r.count, last[r.node], "count %d of node %d was acknowledged and is lost", r.count, r.node)
	}
	// Each of the killed can have made one write that it could not report.
	assert.LessOrEqual(t, written-len(acknowledged), workers*lives)
	t.Logf("%d writes, %d acknowledged, %d killed", written, len(acknowledged), workers*lives)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}
