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
	const members = 3
	c := etcdtest.Start(t, members)
	hang := func(member int) {
		c.Stop(member)
		time.Sleep(10 * time.Second)
		c.Continue(member)
	}
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
			{"SIGSTOP of a member for 10 s", func(t *testing.T) {
				t.Helper()
				hang((c.Leader() + 1) % members)
			}, 10 * time.Second},
			{"SIGSTOP of etcd's leader for 10 s", func(t *testing.T) {
				t.Helper()
				hang(c.Leader())
			}, 10 * time.Second},
		}
	})
	d.calm(t)
}
