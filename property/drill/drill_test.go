//go:build !windows

package drill

import (
	"context"
	"flag"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/easyflake/easyflake/pool/grpcpool"
)

var wanted = flag.Bool("drill", false, "break real engines: it takes minutes")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is what is done to an engine or to a server, and how long that is looked at.
type step struct {
	name string
	do   func(t *testing.T)
	last time.Duration
}

// drilled is a run of all steps.
type drilled struct {
	*crew

	servers [2]*server
}

// drill has clients make IDs on two servers of an engine, while steps are made. The
// first server gets further flags when it starts.
func drill(t *testing.T, store string, steps func(d *drilled) []step, first ...string) *drilled {
	t.Helper()
	program := build(t)
	d := &drilled{crew: newCrew(t)}
	var endpoints []grpcpool.Endpoint
	for i := range d.servers {
		port := freePort(t)
		d.servers[i] = newServer(t, program, store, port, first...)
		first = nil // what is said of a new store is said once
		await(t, port, d.servers[i])
		endpoints = append(endpoints, grpcpool.Endpoint{Host: "127.0.0.1", Port: port})
	}
	defer func() {
		if t.Failed() {
			for i, s := range d.servers {
				t.Logf("server %d said:\n%s", i, s.said)
			}
		}
	}()
	d.begin("at first")
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for i := range clients {
		// Half of them ask one server first, and half the other one.
		order := []grpcpool.Endpoint{endpoints[i%2], endpoints[1-i%2]}
		all.Go(func() {
			if err := d.work(ctx, i, order); err != nil && ctx.Err() == nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	look := func(d time.Duration) { time.Sleep(d) }
	look(15 * time.Second)
	list := steps(d)
	list = append(list,
		step{"SIGKILL of a pool server", func(t *testing.T) {
			t.Helper()
			d.servers[0].signal(t, syscall.SIGKILL)
		}, 10 * time.Second},
		step{"the pool server started again", func(t *testing.T) {
			t.Helper()
			d.servers[0].start(t)
		}, 10 * time.Second},
	)
	for _, s := range list {
		d.begin(s.name)
		s.do(t)
		look(s.last)
	}
	cancel()
	all.Wait()
	equal, made := d.equal()
	t.Logf("%d IDs of %d clients, %d of them made before\n%v", made, clients, equal, d.crew)
	require.Zero(t, equal, "IDs were made twice")
	require.NotZero(t, made)
	return d
}

// patience is how long a client may be without an ID in a calm step. Generators make
// them without asking anybody while their windows last, so it bounds what this machine
// may be busy with, and finds whoever waits for an engine or a server all the same.
const patience = 2 * time.Second

// calm asserts that no client had an error, went on with another node, or was without an
// ID for longer than patience, in any step but some.
func (d *drilled) calm(t *testing.T, but ...string) {
	t.Helper()
	for _, name := range d.order {
		excused := false
		for _, b := range but {
			excused = excused || b == name
		}
		if excused || name == "at first" {
			continue
		}
		require.Empty(t, d.report[name].errors, name)
		require.Zero(t, d.report[name].moves, name)
		require.LessOrEqual(t, slices.Max(d.report[name].gaps[:]), patience, name)
	}
}

// need skips a drill that nobody has asked for. One that was asked for fails where its
// engine is missing, as in CI.
func need(t *testing.T) {
	t.Helper()
	t.Setenv("CI", "true")
	if !*wanted {
		t.Skip("it takes minutes: go test ./property/drill -drill -v -timeout 30m")
	}
}
