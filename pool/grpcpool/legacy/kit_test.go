package legacy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

const theNamespace = "default"

// site is a store with servers, whose time stands still until the test moves it.
type site struct {
	*testing.T
	clock  *clocktest.Clock
	store  pool.Store
	ns     pool.Namespace
	*house // the first one
}

// house is a server with its pool.
type house struct {
	local  *pool.Local
	faulty *faulty
	server *Server
}

// faulty fails renewals and acquisitions while it is told to.
type faulty struct {
	*pool.Local

	mu            sync.Mutex // owns the fields below
	fail          error
	hang          bool
	lose          bool // the next grant is made, and its reply lost
	renewals, got int
}

func (f *faulty) set(fail error, hang bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.hang = fail, hang
}

func (f *faulty) count() (renewals, acquisitions int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.renewals, f.got
}

func (f *faulty) before(ctx context.Context, counter *int) error {
	f.mu.Lock()
	*counter++
	fail, hang := f.fail, f.hang
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return fail
}

func (f *faulty) AcquireLegacy(ctx context.Context, namespace string, token pool.Token) (pool.Grant, error) {
	if err := f.before(ctx, &f.got); err != nil {
		return pool.Grant{}, err
	}
	g, err := f.Local.AcquireLegacy(ctx, namespace, token)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lose {
		f.lose = false
		return pool.Grant{}, errors.New("the reply is lost")
	}
	return g, err
}

func (f *faulty) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	if err := f.before(ctx, &f.renewals); err != nil {
		return pool.Grant{}, err
	}
	return f.Local.Renew(ctx, r)
}

// newSite has a store, exclusive or not, with numbers 252 to 252+numbers-1.
func newSite(t *testing.T, exclusive bool, numbers int64) *site {
	t.Helper()
	s := &site{T: t, clock: clocktest.New(time.Date(2026, time.March, 14, 15, 9, 26, 535_897_932, time.UTC))}
	s.store = pool.NewMemory(s.clock, exclusive)
	s.ns = pool.NewNamespace(theNamespace, layout.Default())
	s.ns.Ranges = []pool.Range{{First: 0, Last: 251}, {First: 252, Last: 251 + numbers, Use: pool.Legacy}}
	require.NoError(t, pool.New(s.store).CreateNamespace(t.Context(), s.ns))
	s.house = s.serve()
	return s
}

// serve starts a server of the store.
func (s *site) serve(opts ...Option) *house {
	s.Helper()
	h := &house{local: pool.New(s.store,
		pool.WithElapsed(func() time.Duration { return time.Duration(s.clock.Now()) }),
		pool.WithLogger(slog.New(slog.DiscardHandler)))}
	h.faulty = &faulty{Local: h.local}
	var err error
	opts = append([]Option{WithClock(s.clock), WithLogger(slog.New(slog.DiscardHandler))}, opts...)
	h.server, err = New(s.Context(), h.faulty, theNamespace, opts...)
	require.NoError(s, err)
	h.server.random = func() float64 { return 0 }
	return h
}

// call is a stream as a client without a network sees it.
type call struct {
	grpc.ServerStream // nil

	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex // owns the fields below
	replies []int64
	taken   chan struct{} // while not nil, replies are not taken until it is closed
}

func (c *call) Context() context.Context { return c.ctx }

func (c *call) Send(r *sequencepb.SequenceReply) error {
	c.mu.Lock()
	taken := c.taken
	c.mu.Unlock()
	if taken != nil {
		select {
		case <-taken:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, r.GetSequence())
	return nil
}

// stop lets no reply be taken any more, until the function that it returns.
func (c *call) stop() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = make(chan struct{})
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.taken)
		c.taken = nil
	}
}

// dial opens a stream from an address, and returns when it waits for something.
func (s *site) dial(h *house, address string) *call {
	s.Helper()
	return s.dialFor(h, address, 8)
}

func (s *site) dialFor(h *house, address string, bits int32) *call {
	s.Helper()
	addr := net.TCPAddr{IP: net.ParseIP(address), Port: 50000}
	ctx, cancel := context.WithCancel(peer.NewContext(s.Context(), &peer.Peer{Addr: &addr}))
	c := &call{t: s.T, ctx: ctx, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		c.ended <- h.server.LiveStream(&sequencepb.SequenceRequest{Bits: bits}, c)
		cancel() // as gRPC does
	}()
	synctest.Wait()
	return c
}

// pass lets time pass, in steps in which everybody can do what is due.
func (s *site) pass(d time.Duration) {
	for step := 100 * time.Millisecond; d > 0; d -= step {
		s.clock.Advance(min(d, step))
		synctest.Wait()
	}
}

// got returns all numbers that were sent.
func (c *call) got() []int64 {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int64(nil), c.replies...)
}

// number returns the number of a stream that has one.
func (c *call) number() int64 {
	c.t.Helper()
	got := c.got()
	require.NotEmpty(c.t, got)
	for _, n := range got {
		require.Equal(c.t, got[0], n, "the number of a stream never changes")
	}
	return got[0]
}

// open says that the stream has not ended.
func (c *call) open() bool {
	synctest.Wait()
	return len(c.ended) == 0
}

// code waits for the end, and returns its code.
func (c *call) code() codes.Code {
	c.t.Helper()
	synctest.Wait()
	select {
	case err := <-c.ended:
		c.ended <- err
		return status.Code(err)
	default:
		assert.Fail(c.t, "the stream has not ended")
		return codes.Unknown
	}
}

// hangUp is the client going away.
func (c *call) hangUp() {
	c.cancel()
	synctest.Wait()
}
