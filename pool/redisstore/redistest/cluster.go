package redistest

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// Slots is how many a cluster has.
const Slots = 16384

// Cluster is a Redis Cluster of a test's own.
type Cluster struct {
	// Masters are those that it began with, each with its share of the slots, the
	// first ones with the first.
	Masters []*Server
	// Replicas are those of the first masters, one each.
	Replicas []*Server
}

// StartCluster starts masters that share the slots, and replicas of the first ones. It
// waits until all masters say that the cluster is well, which takes Redis two seconds, and
// the replicas have their masters' data.
func StartCluster(tb testing.TB, masters, replicas int) *Cluster {
	tb.Helper()
	c := new(Cluster)
	var all []*Server
	for i := range masters + replicas {
		s := Start(tb, "--cluster-enabled", "yes")
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1) // distinct at once, rather than after a conflict
		for _, other := range all {
			s.Do("CLUSTER", "MEET", "127.0.0.1", other.Port)
		}
		all = append(all, s)
		if i < masters {
			s.addSlots(i*Slots/masters, (i+1)*Slots/masters-1)
		}
	}
	c.Masters, c.Replicas = all[:masters], all[masters:]
	for _, s := range all {
		until(tb, "all know each other", func() bool {
			nodes, _ := s.Do("CLUSTER", "NODES").(string)
			return strings.Count(nodes, "\n") == len(all) && !strings.Contains(nodes, "handshake")
		})
	}
	for i, s := range c.Replicas {
		s.Do("CLUSTER", "REPLICATE", c.Masters[i].ID())
	}
	for i, s := range c.Replicas {
		until(tb, "the replica has its master's data, and is known", func() bool {
			info, _ := s.Do("INFO", "replication").(string)
			known := 0
			for _, m := range c.Masters {
				replicas, _ := m.Do("CLUSTER", "REPLICAS", c.Masters[i].ID()).([]any)
				known += len(replicas)
			}
			return strings.Contains(info, "master_link_status:up") && known == masters
		})
	}
	for _, s := range all {
		until(tb, "the cluster is well", func() bool {
			info, _ := s.Do("CLUSTER", "INFO").(string)
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_size:%d\r", masters))
		})
	}
	return c
}

// Addrs are where its masters are.
func (c *Cluster) Addrs() (addrs []string) {
	for _, s := range c.Masters {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

func (s *Server) addSlots(first, last int) {
	s.tb.Helper()
	c := s.client()
	defer func() { _ = c.Close() }()
	if err := c.ClusterAddSlotsRange(context.Background(), first, last).Err(); err != nil {
		s.tb.Fatal(err)
	}
}

// ID is what a member of a cluster is called.
func (s *Server) ID() string {
	s.tb.Helper()
	id, _ := s.Do("CLUSTER", "MYID").(string)
	return id
}
