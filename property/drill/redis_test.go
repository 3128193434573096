//go:build !windows

package drill

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

// TestDrillRedis kills Redis, which starts again with its log of all writes, or with
// nothing at all.
func TestDrillRedis(t *testing.T) {
	for _, c := range []struct {
		name string
		aof  bool
		last time.Duration // until nodes are leased again: without namespaces, two minutes
	}{{"with its log", true, time.Minute}, {"without a log", false, 160 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			need(t)
			var flags []string
			if c.aof {
				flags = []string{"--appendonly", "yes", "--appendfsync", "always"}
			}
			r := redistest.Start(t, flags...)
			killed := "SIGKILL of Redis, started again " + c.name
			d := drill(t, r.URL(), func(*drilled) []step {
				return []step{{killed, func(t *testing.T) {
					t.Helper()
					r.Restart()
				}, c.last}}
			}, "--fresh")
			for i, s := range d.servers {
				t.Logf("server %d said:\n%s", i, s.said)
			}
			said := d.servers[0].said.String() + d.servers[1].said.String()
			require.Contains(t, said, "horizon", "no server says that it waits until what may be lost is over")
			d.calm(t, killed)
		})
	}
}
