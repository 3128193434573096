//go:build !windows

package drill

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// TestDrillPostgres restarts PostgreSQL without letting it end in order, and stops it
// for a while.
func TestDrillPostgres(t *testing.T) {
	need(t)
	p := pgtest.New(t)
	out, err := exec.CommandContext(t.Context(), build(t), "store", "init", p.Address()).CombinedOutput()
	require.NoError(t, err, "%s", out)
	d := drill(t, p.Address(), func(*drilled) []step {
		return []step{
			{"restart of PostgreSQL in immediate mode", func(t *testing.T) {
				t.Helper()
				p.Crash()
				p.Start()
			}, 15 * time.Second},
			{"SIGSTOP of PostgreSQL for 3 s", func(t *testing.T) {
				t.Helper()
				p.Signal(syscall.SIGSTOP)
				time.Sleep(3 * time.Second)
				p.Signal(syscall.SIGCONT)
			}, 15 * time.Second},
		}
	})
	d.calm(t)
}
