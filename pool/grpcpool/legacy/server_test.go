package legacy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

func TestNewRefuses(t *testing.T) {
	c := clocktest.New(time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC))
	p := pool.New(pool.NewMemory(c, true))
	plain := pool.NewNamespace("plain", layout.Default())
	short := pool.NewNamespace("short", layout.Default())
	short.Ranges = []pool.Range{{Last: 3, Use: pool.Legacy}}
	short.Terms.Skew, short.Terms.FirstWindow = 0, 7500*time.Millisecond
	enough := short
	enough.Name, enough.Terms.FirstWindow = "enough", 7501*time.Millisecond
	for _, ns := range []pool.Namespace{plain, short, enough} {
		require.NoError(t, p.CreateNamespace(t.Context(), ns))
	}

	_, err := New(t.Context(), p, "enough")
	require.NoError(t, err)
	_, err = New(t.Context(), p, "plain")
	var none *pool.NoLegacyNodesError
	require.ErrorAs(t, err, &none)
	_, err = New(t.Context(), p, "other")
	var unknown *pool.UnknownNamespaceError
	require.ErrorAs(t, err, &unknown)

	field := func(err error, name string) {
		t.Helper()
		var e *layout.FieldError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, name, e.Field)
	}
	_, err = New(t.Context(), p, "short")
	field(err, "first window")
	require.ErrorContains(t, err, "at least 7.501s")
	_, err = New(t.Context(), nil, "plain")
	field(err, "pool")
	for _, l := range []Limits{{}, {Streams: 1}, {PerPeer: 1}, {Streams: -1, PerPeer: 1}} {
		_, err = New(t.Context(), p, "enough", WithLimits(l))
		field(err, "limits")
	}
	_, err = New(t.Context(), p, "enough", WithRest(-1))
	field(err, "rest")
	_, err = New(t.Context(), p, "short", WithRest(time.Second))
	require.NoError(t, err)
}

// failing is a pool that cannot say which namespaces it has.
type failing struct {
	*pool.Local

	err error
}

func (f failing) Namespaces(context.Context) ([]pool.Namespace, error) { return nil, f.err }

func TestNewOfAPoolThatFails(t *testing.T) {
	c := clocktest.New(time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC))
	broken := errors.New("broken")
	_, err := New(t.Context(), failing{pool.New(pool.NewMemory(c, true)), broken}, "n")
	require.ErrorIs(t, err, broken)
}
