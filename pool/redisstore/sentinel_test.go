package redisstore

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

const watched = "mymaster" // what Sentinel calls the master

// watch starts a master with a replica, and a Sentinel that watches them.
func watch(t *testing.T) (master, replica, sentinel *redistest.Server) {
	t.Helper()
	master, replica = redistest.Start(t), redistest.Start(t)
	follow(t, replica, master)
	return master, replica, redistest.StartSentinel(t, watched, master, 1)
}

// failoverClient is a client of the master that a Sentinel names, which waits for a
// server that hangs no longer than it takes the Sentinel.
func failoverClient(t *testing.T, sentinel *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: watched, SentinelAddrs: []string{sentinel.Addr()}, DialerRetries: 1, ReadTimeout: time.Second,
		PoolSize: 1000, // after so many failures a goroutine begins to dial by itself
	})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// The master is killed, and the replica that Sentinel promotes takes the store on: what
// may be lost is over before anything is granted.
func TestSentinelMasterIsKilled(t *testing.T) {
	master, replica, sentinel := watch(t)
	log := new(said)
	s := openOn(t, failoverClient(t, sentinel), WithFresh(), log.option())
	p := newPool(t, s)
	g := work(t, p, func(err error) { assert.ErrorIs(t, err, ErrUnreachable) })
	master.Kill()
	granted := g.granted(t)
	sentinel.Impatient(watched, func() { answers(t, s) })
	assert.Contains(t, s.Doubtful(), "another one took over: run ID")
	held(t, p, granted)
	assert.Contains(t, log.String(), "no window begins before a horizon from now")
	usable(t, s)
	t.Logf("%d grants acknowledged of %d nodes, %d nodes kept", len(g.all), len(granted), len(stored(t, s)))

	direct := open(t, replica.URL())
	assert.Empty(t, direct.Doubtful(), "it was settled there")
	held(t, newPool(t, direct), granted)
}

// A master that hangs while its successor takes over wakes up as a master, and has not
// heard of it. What was sent to it before is carried out then. Whoever asks Sentinel never
// comes to it again; and whoever does not is refused once it is made a replica, or at once
// if it counts its replicas. What either was granted does not reach past the floor.
func TestSentinelMasterHangs(t *testing.T) {
	master, _, sentinel := watch(t)
	for _, setting := range []string{"min-replicas-to-write", "min-replicas-max-lag"} {
		master.Do("CONFIG", "SET", setting, 1)
	}
	s := openOn(t, failoverClient(t, sentinel), WithFresh())
	p := newPool(t, s)
	stray := open(t, master.URL()+"?read_timeout=1s&max_retries=-1")
	strays := newPool(t, stray)
	granted := leases(t, strays, 3)
	g := work(t, p, func(error) {})
	master.Freeze()
	granted = append(granted, g.granted(t)...)
	sentinel.Impatient(watched, func() { answers(t, s) })
	held(t, p, granted)
	usable(t, s)

	master.Wake()
	var refused error
	require.Eventually(t, func() bool {
		got, err := strays.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
		if err == nil {
			granted = append(granted, got)
		}
		refused = err
		return errors.Is(err, ErrReadOnly) || errors.Is(err, ErrRefused)
	}, waitFor, tick)
	t.Logf("%d grants in all; the old master refuses: %v", len(granted), refused)
	follows(t, master)
	_, err := stray.Now(t.Context())
	require.ErrorIs(t, err, ErrReadOnly)
	_, err = stray.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: mustNamespace(t, stray), Node: 1, Value: []byte("x")})
	require.ErrorIs(t, err, ErrReadOnly)
	assert.Equal(t, stored(t, s), stored(t, stray), "what it had of its own is gone")
	held(t, p, granted)
	usable(t, s)
}
