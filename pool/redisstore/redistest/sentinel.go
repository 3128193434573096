package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
)

// StartSentinel starts a Sentinel that watches a master under a name, and may replace it
// alone, but has a minute's patience: see [Server.Impatient]. It waits until it knows the
// master's replicas, of which there are so many.
func StartSentinel(tb testing.TB, name string, master *Server, replicas int) *Server {
	tb.Helper()
	s := start(tb, FreePort, func(s *Server) []string {
		file := filepath.Join(s.dir, "sentinel.conf") // which it writes, too
		text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %q\nlogfile %q\n", s.Port, s.dir, filepath.Join(s.dir, "log")) +
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1\n", name, master.Port) +
			fmt.Sprintf("sentinel down-after-milliseconds %s 60000\nsentinel failover-timeout %s 5000\n", name, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		return []string{file, "--sentinel"}
	})
	c := redis.NewSentinelClient(&redis.Options{Addr: s.Addr()})
	defer func() { _ = c.Close() }()
	ctx := context.Background()
	// Redis 7 can be told to look more often, and to go on where the machine has stalled;
	// with others it takes longer.
	_ = c.Process(ctx, redis.NewCmd(ctx, "SENTINEL", "DEBUG", "INFO-PERIOD", 200, "PUBLISH-PERIOD", 200, "TILT-PERIOD", 1000))
	until(tb, "the Sentinel knows the replicas", func() bool {
		known, err := c.Replicas(ctx, name).Result()
		up := 0
		for _, r := range known {
			if r["flags"] == "slave" && r["master-link-status"] == "ok" {
				up++
			}
		}
		return err == nil && up == replicas
	})
	return s
}

// Impatient has a Sentinel take a master for dead that has not answered for half a second,
// while something is done. A machine under load makes every master look so now and then.
func (s *Server) Impatient(name string, while func()) {
	s.tb.Helper()
	s.Do("SENTINEL", "SET", name, "down-after-milliseconds", 500)
	while()
	s.Do("SENTINEL", "SET", name, "down-after-milliseconds", 60_000)
}
