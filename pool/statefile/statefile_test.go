package statefile

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator" //nolint:depguard // the test is that a state file is its source
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
)

var _ generator.Source = (*Lease)(nil)

// helper is the variable that makes this program a process with a state file.
const helper = "EASYFLAKE_STATEFILE_TEST"

func TestMain(m *testing.M) {
	if path := os.Getenv(helper); path != "" {
		if err := use(path, os.Stdout); err != nil {
			fmt.Println(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// fake is a clock that stands still. Only for those who wait with a context of
// rushing does time pass, at once: not for the lease's renewals.
type fake struct{ *clocktest.Clock }

type rush struct{}

func rushing(ctx context.Context) context.Context { return context.WithValue(ctx, rush{}, true) }

func (c fake) Wait(ctx context.Context, until int64) error {
	if ctx.Value(rush{}) == nil || ctx.Err() != nil {
		return c.Clock.Wait(ctx, until)
	}
	c.Advance(max(0, time.Duration(until-c.Now())))
	return nil
}

func at(d time.Duration) fake {
	return fake{clocktest.New(time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC).Add(d))}
}

// by opens a file by such a clock.
func by(c fake) Option {
	return func(o *options) {
		o.clock = c
		o.log = slog.New(slog.DiscardHandler)
		o.elapsed = func() time.Duration { return time.Duration(c.Now()) }
	}
}

// use opens a state file at noon, prints some IDs, and waits to be killed.
func use(path string, out io.Writer) error {
	c := at(0)
	ctx := rushing(context.Background())
	lease, err := Open(ctx, path, layout.Default(), 7, by(c), WithCreate())
	if err != nil {
		return err
	}
	g, err := generator.NewAtomic(layout.Default(), lease, generator.WithClock(c))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range 5000 {
		id, err := g.NextContext(ctx)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, id); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// start starts a process that holds the file, and returns the IDs that it has
// made and a function that kills it.
func start(t *testing.T, path string) (made map[layout.ID]bool, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helper+"="+path)
	_, err := cmd.StdinPipe() // it ends with this process at the latest
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	made = make(map[layout.ID]bool)
	for lines := bufio.NewScanner(out); ; {
		require.True(t, lines.Scan(), "the process has ended")
		if lines.Text() == "ready" {
			break
		}
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		require.NoError(t, err, lines.Text())
		made[layout.ID(n)] = true
	}
	return made, func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // that it was killed
	}
}

func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "node.state")
}

// run opens a file, makes IDs, and closes it.
func run(t *testing.T, path string, c fake, made map[layout.ID]bool, opts ...Option) {
	t.Helper()
	ctx := rushing(t.Context())
	lease, err := Open(ctx, path, layout.Default(), 7, append(opts, by(c))...)
	require.NoError(t, err)
	defer func() { require.NoError(t, lease.Close()) }()
	g, err := generator.NewSharded(layout.Default(), lease, generator.WithClock(c))
	require.NoError(t, err)
	for range 600 {
		id, err := g.NextContext(ctx)
		require.NoError(t, err)
		require.False(t, made[id], "%d twice", id)
		made[id] = true
		p, err := layout.Default().Decompose(id)
		require.NoError(t, err)
		require.Equal(t, int64(7), p.Node)
	}
}

// A restart goes on after what was stamped before, with the clock where it was, a
// little before that, or later.
func TestRestart(t *testing.T) {
	path := newPath(t)
	made := make(map[layout.ID]bool)
	for i, when := range []time.Duration{0, 0, time.Millisecond, -900 * time.Millisecond, time.Second, time.Hour} {
		c := at(when)
		var opts []Option
		if i == 0 {
			opts = append(opts, WithCreate())
		}
		run(t, path, c, made, opts...)
	}
	assert.Len(t, made, 3600)
}

// A process is killed, and its clock set back: the next one goes on after all that
// was reserved, or says by how much the clock is behind.
func TestRestartAfterACrash(t *testing.T) {
	path := newPath(t)
	made, kill := start(t, path)

	// While it lives, nobody else has the file.
	_, err := Open(t.Context(), path, layout.Default(), 7, by(at(0)))
	require.ErrorIs(t, err, boltstore.ErrInUse)
	kill()

	for _, back := range []time.Duration{time.Hour, 24 * 365 * time.Hour} {
		_, err = Open(rushing(t.Context()), path, layout.Default(), 7, by(at(-back)))
		var off *pool.ClockOffError
		require.ErrorAs(t, err, &off)
		assert.InDelta(t, -back, off.By, float64(time.Minute))
		require.ErrorContains(t, err, "the clock was set back")
	}

	c := at(0)
	run(t, path, c, made)
	assert.Len(t, made, 5600)
}

// Waiting for what a crashed process has reserved can be cut short.
func TestWaitIsCancelled(t *testing.T) {
	path := newPath(t)
	_, kill := start(t, path)
	kill()
	ctx, cancel := context.WithCancel(t.Context())
	c := at(0)
	go func() {
		assert.NoError(t, c.BlockUntil(t.Context(), 1))
		cancel()
	}()
	_, err := Open(ctx, path, layout.Default(), 7, by(c))
	require.ErrorIs(t, err, context.Canceled)
	run(t, path, c, make(map[layout.ID]bool))
}

func TestFileIsMissing(t *testing.T) {
	path := newPath(t)
	c := at(0)
	_, err := Open(t.Context(), path, layout.Default(), 7, by(c))
	require.ErrorIs(t, err, boltstore.ErrMissing)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Empty(t, left)

	// Once it was there, the option does not make another.
	run(t, path, c, make(map[layout.ID]bool), WithCreate())
	require.NoError(t, os.Remove(path))
	_, err = Open(t.Context(), path, layout.Default(), 7, by(c), WithCreate())
	require.ErrorIs(t, err, boltstore.ErrLost)
}

// A new file begins with the tick after the clock's: a process without a file may
// have used that one.
func TestNewFileBeginsWithTheNextTick(t *testing.T) {
	c := at(0)
	present, err := layout.Default().Tick(c.Time())
	require.NoError(t, err)
	lease, err := Open(rushing(t.Context()), newPath(t), layout.Default(), 7, by(c), WithCreate())
	require.NoError(t, err)
	assert.Equal(t, present+1, lease.Window().From)
	require.NoError(t, lease.Close())
	require.NoError(t, lease.Close())
	require.ErrorIs(t, lease.Err(), pool.ErrClosed)
}

func TestFileIsAnothers(t *testing.T) {
	path := newPath(t)
	c := at(0)
	run(t, path, c, make(map[layout.ID]bool), WithCreate())

	var node *NodeMismatchError
	_, err := Open(t.Context(), path, layout.Default(), 8, by(c), WithCreate())
	require.ErrorAs(t, err, &node)
	assert.Equal(t, int64(7), node.Have)
	assert.Contains(t, err.Error(), "node 7, not 8")

	other, err := layout.ByName("twitter")
	require.NoError(t, err)
	var mismatch *pool.LayoutMismatchError
	_, err = Open(t.Context(), path, other, 7, by(c))
	require.ErrorAs(t, err, &mismatch)
	assert.Equal(t, layout.Default(), mismatch.Have)

	// It is none the worse for it.
	run(t, path, c, make(map[layout.ID]bool))

	// The store of a pool is not made a state file of.
	path = newPath(t)
	store, err := boltstore.Open(path, boltstore.WithCreate(), boltstore.WithClock(c))
	require.NoError(t, err)
	p := pool.New(store, pool.WithLogger(slog.New(slog.DiscardHandler)))
	_, err = Open(t.Context(), path+"2", layout.Default(), 7, by(c))
	require.ErrorIs(t, err, boltstore.ErrMissing)
	require.NoError(t, p.Close())
	_, err = Open(t.Context(), path, layout.Default(), 7, by(c))
	require.ErrorIs(t, err, ErrNotState, "cut off before it was complete")

	for _, name := range []string{"orders", namespace} {
		store, err = boltstore.Open(path, boltstore.WithClock(c))
		require.NoError(t, err)
		p = pool.New(store, pool.WithLogger(slog.New(slog.DiscardHandler)))
		require.NoError(t, p.CreateNamespace(t.Context(), pool.NewNamespace(name, layout.Default())))
		require.NoError(t, p.Close())
		_, err = Open(t.Context(), path, layout.Default(), 7, by(c), WithCreate())
		require.ErrorIs(t, err, ErrNotState)
		path = newPath(t)
		store, err = boltstore.Open(path, boltstore.WithCreate(), boltstore.WithClock(c))
		require.NoError(t, err)
		require.NoError(t, store.Close())
	}
}

func TestBadInput(t *testing.T) {
	path := newPath(t)
	var field *layout.FieldError
	_, err := Open(t.Context(), path, layout.Default(), 256, WithCreate())
	require.ErrorAs(t, err, &field)
	_, err = Open(t.Context(), path, layout.Default(), -1, WithCreate())
	require.ErrorAs(t, err, &field)
	_, err = Open(t.Context(), path, layout.Layout{}, 0, WithCreate())
	require.ErrorAs(t, err, &field)
}

// An older file in the place of a newer one is noticed, and the node rests until
// what was lost is over.
func TestOlderFileIsPutBack(t *testing.T) {
	path := newPath(t)
	c := at(0)
	made := make(map[layout.ID]bool)
	run(t, path, c, made, WithCreate())
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	for range 3 {
		run(t, path, c, made)
	}
	require.NoError(t, os.WriteFile(path, old, 0o600))
	before := c.Time()
	run(t, path, c, made)
	assert.GreaterOrEqual(t, c.Time().Sub(before), terms(layout.Default()).Horizon)
}

// With real clocks, as everybody uses it.
func TestDefaults(t *testing.T) {
	lease, err := Open(t.Context(), newPath(t), layout.Default(), 7, WithCreate(), WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	g, err := generator.NewMutex(layout.Default(), lease)
	require.NoError(t, err)
	_, err = g.Next()
	require.NoError(t, err)
	require.NoError(t, lease.AcceptClock(t.Context()))
	require.NoError(t, g.Close())
	require.NoError(t, lease.Close())
}
