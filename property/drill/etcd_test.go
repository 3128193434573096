//go:build !windows

package drill

import (
	"strings"
	"testing"
	"time"

	"github.com/easyflake/easyflake/pool/etcdstore/etcdtest"
)

// TestDrillEtcd kills etcd's leader, and stops one of its members.
func TestDrillEtcd(t *testing.T) {
	need(t)
	c := etcdtest.Start(t, 3)
	killed := 0
	d := drill(t, "etcd://"+strings.Join(c.Endpoints(), ","), func(*drilled) []step {
		return []step{
			{"SIGKILL of etcd's leader", func(t *testing.T) {
				t.Helper()
				killed = c.Leader()
				c.Kill(killed)
			}, 15 * time.Second},
			{"that member started again", func(t *testing.T) {
				t.Helper()
				c.Restart(killed)
			}, 15 * time.Second},
			{"SIGSTOP of etcd's leader for 10 s", func(t *testing.T) {
				t.Helper()
				stopped := c.Leader()
				c.Stop(stopped)
				time.Sleep(10 * time.Second)
				c.Continue(stopped)
			}, 10 * time.Second},
		}
	})
	d.calm(t)
}
