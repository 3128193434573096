package grpcpool

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// TestRefusalsPassTheNetwork: what a pool refuses with is the same at the client.
func TestRefusalsPassTheNetwork(t *testing.T) {
	twitter, err := layout.Parse("twitter")
	require.NoError(t, err)
	end := twitter.End()
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{&pool.ExhaustedError{Namespace: "orders", Nodes: 256, RetryAfter: 1234567 * time.Microsecond}, codes.ResourceExhausted},
		{&pool.ExhaustedError{Namespace: "orders", Nodes: 256}, codes.ResourceExhausted},
		{&pool.NotYetError{RetryAfter: time.Second}, codes.Unavailable},
		{&pool.UnknownNamespaceError{Name: "order", Nearest: "orders"}, codes.NotFound},
		{&pool.UnknownNamespaceError{Name: "order"}, codes.NotFound},
		{&pool.LayoutMismatchError{Namespace: "orders", Have: layout.Default(), Want: twitter}, codes.FailedPrecondition},
		{&pool.RecordError{What: "node 3 of orders", Reason: "no JSON"}, codes.DataLoss},
		{&layout.FieldError{Field: "node", Value: "-1", Reason: "must not be negative"}, codes.InvalidArgument},
		{&layout.LifeError{Now: end.Add(-time.Hour), End: end, Left: time.Hour, Err: layout.ErrLifeUnderYear}, codes.FailedPrecondition},
		{&layout.LifeError{Now: end.Add(time.Hour), End: end, Left: -time.Hour, Err: layout.ErrLifeOver}, codes.FailedPrecondition},
		{&access.DeniedError{Identity: "shop", Namespace: "orders", Action: "manage"}, codes.PermissionDenied},
		{&access.QuotaError{Identity: "shop", Namespace: "orders", Limit: 3, RetryAfter: time.Minute}, codes.ResourceExhausted},
		{pool.ErrLeaseLost, codes.Aborted},
		{pool.ErrRevoked, codes.Aborted},
		{pool.ErrBadSeal, codes.OutOfRange},
		{pool.ErrNotLeasable, codes.FailedPrecondition},
		{pool.ErrExists, codes.AlreadyExists},
		{pool.ErrClockJumped, codes.Unavailable},
		{pool.ErrClosed, codes.Unavailable},
		{layout.ErrPastEnd, codes.FailedPrecondition},
		{layout.ErrBeforeEpoch, codes.FailedPrecondition},
		{access.ErrUnauthenticated, codes.Unauthenticated},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			sent := toStatus(fmt.Errorf("node 3: %w", c.err))
			assert.Equal(t, c.code, status.Code(sent))
			got := fromStatus(sent)
			if _, ok := errors.AsType[*serverError](got); ok {
				assert.Equal(t, "node 3: "+c.err.Error(), got.Error())
				got = errors.Unwrap(got)
			}
			assert.Equal(t, c.err, got)
		})
	}
}

// TestStoresErrorsStayAtTheServer, for they name files and hosts. Another server may
// do better.
func TestStoresErrorsStayAtTheServer(t *testing.T) {
	sent := toStatus(errors.New("open /var/lib/secret: no space left"))
	assert.Equal(t, codes.Unavailable, status.Code(sent))
	assert.NotContains(t, sent.Error(), "secret")
	assert.Equal(t, "other", pool.Reason(fromStatus(sent)))
	assert.True(t, movesOn(sent))
}

func TestOthersErrorsStayAsTheyAre(t *testing.T) {
	for _, err := range []error{
		nil,
		errors.New("no status"),
		status.Error(codes.ResourceExhausted, "grpc: received message larger than max"),
		status.Error(codes.NotFound, "no such page"),
	} {
		assert.Equal(t, err, fromStatus(err))
	}
}

func TestTheCallersContextIsNoFaultOfTheServers(t *testing.T) {
	assert.Equal(t, codes.Canceled, status.Code(toStatus(fmt.Errorf("pool: %w", context.Canceled))))
	assert.Equal(t, codes.DeadlineExceeded, status.Code(toStatus(fmt.Errorf("pool: %w", context.DeadlineExceeded))))
}

// TestTextThatIsNone: a message has to be valid UTF-8, and a name that a client made
// up need not be.
func TestTextThatIsNone(t *testing.T) {
	sent := toStatus(&pool.UnknownNamespaceError{Name: "\xff\xfe"})
	got, ok := errors.AsType[*pool.UnknownNamespaceError](fromStatus(sent))
	require.True(t, ok)
	assert.Equal(t, "\uFFFD", got.Name)
}

func TestOnlyWhatAnotherServerMayDoBetterMovesOn(t *testing.T) {
	for err, want := range map[error]bool{
		toStatus(pool.ErrClockJumped):                       true,
		toStatus(pool.ErrClosed):                            true,
		toStatus(errors.New("disk")):                        true,
		status.Error(codes.Unavailable, "refused"):          true,
		status.Error(codes.DeadlineExceeded, "slow"):        true,
		toStatus(&pool.NotYetError{RetryAfter: 1}):          false,
		toStatus(&pool.ExhaustedError{Namespace: "x"}):      false,
		toStatus(pool.ErrLeaseLost):                         false,
		toStatus(access.ErrUnauthenticated):                 false,
		status.Error(codes.Unimplemented, "unknown method"): false,
	} {
		assert.Equal(t, want, movesOn(err), err)
	}
}
