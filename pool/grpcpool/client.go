package grpcpool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// Client is a pool that servers have. It has one connection to each endpoint that
// it came to use, and speaks to one until that one does not serve.
type Client struct {
	endpoints []Endpoint
	conns     []*grpc.ClientConn
	pools     []poolv1.NodePoolClient
	attempt   time.Duration

	tls bool // it is spoken

	current atomic.Int64 // the endpoint that answered last
}

var _ pool.Manager = (*Client)(nil)

// ClientOption changes how a client reaches its servers.
type ClientOption func(*clientOptions)

type clientOptions struct {
	tls      func(host string) *tls.Config
	insecure bool
	secret   func() (string, error)
	attempt  time.Duration
	dial     func(context.Context, string) (net.Conn, error)
}

// WithClientTLS makes the client speak TLS, at least 1.3, with the settings that
// settings returns for a host. The default is TLS with the system's authorities, and
// plaintext with endpoints that are all [Endpoint.Local].
func WithClientTLS(settings func(host string) *tls.Config) ClientOption {
	return func(o *clientOptions) { o.tls = settings }
}

// WithInsecure makes the client speak plaintext, whatever the endpoints: anybody
// on the way can read the leases' tokens, and take the leases.
func WithInsecure() ClientOption { return func(o *clientOptions) { o.insecure = true } }

// WithSecret makes the client show a bearer token with each request, which it asks
// secret for each time.
func WithSecret(secret func() (string, error)) ClientOption {
	return func(o *clientOptions) { o.secret = secret }
}

// WithAttemptTimeout bounds how long one server is waited for before the next one
// is tried. The default is 3 seconds, and 10 where there is no other one.
func WithAttemptTimeout(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.attempt = d }
}

// WithDialer makes connections; for tests and tunnels.
func WithDialer(dial func(ctx context.Context, address string) (net.Conn, error)) ClientOption {
	return func(o *clientOptions) { o.dial = dial }
}

// NewClient returns a client of servers that share a store. It connects when it
// is first used, and must be closed.
func NewClient(endpoints []Endpoint, opts ...ClientOption) (*Client, error) {
	o := clientOptions{attempt: 3 * time.Second}
	if len(endpoints) == 1 {
		o.attempt = 10 * time.Second
	}
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case len(endpoints) == 0:
		return nil, &layout.FieldError{Field: "endpoints", Value: "(none)", Reason: "at least one must be given"}
	case o.tls != nil && o.insecure:
		return nil, &layout.FieldError{Field: "insecure", Value: true, Reason: "contradicts the settings for TLS"}
	case o.attempt <= 0:
		return nil, &layout.FieldError{Field: "attempt timeout", Value: o.attempt, Reason: "must be positive"}
	}
	c := &Client{endpoints: endpoints, attempt: o.attempt}
	// One endpoint that is local does not make the others so.
	plain := o.insecure || o.tls == nil && allLocal(endpoints)
	c.tls = !plain
	for _, e := range endpoints {
		conn, err := grpc.NewClient(e.target(), o.dialOptions(e, plain)...)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("grpcpool: endpoint %v: %w", e, err), c.Close())
		}
		c.conns = append(c.conns, conn)
		c.pools = append(c.pools, poolv1.NewNodePoolClient(conn))
	}
	return c, nil
}

func (o *clientOptions) dialOptions(e Endpoint, plain bool) []grpc.DialOption {
	creds := insecure.NewCredentials()
	if !plain {
		config := &tls.Config{}
		if o.tls != nil {
			config = o.tls(e.Host).Clone()
		}
		config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
		creds = credentials.NewTLS(config)
	}
	how := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithUserAgent("easyflake"),
		// An outage is not made longer by waiting to connect.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// A server that went away without a word is noticed; see the server's
		// enforcement.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)),
		grpc.WithDisableServiceConfig(), // DNS may carry one, and is not asked how to speak to a pool
	}
	if o.secret != nil {
		how = append(how, grpc.WithPerRPCCredentials(bearer{o.secret, !plain}))
	}
	if o.dial != nil {
		how = append(how, grpc.WithContextDialer(o.dial))
	}
	return how
}

// maxReply bounds what a server can make a client hold.
const maxReply = 1 << 20

func allLocal(endpoints []Endpoint) bool {
	for _, e := range endpoints {
		if !e.Local() {
			return false
		}
	}
	return true
}

// bearer shows a secret with each request.
type bearer struct {
	secret func() (string, error)
	secure bool
}

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	secret, err := b.secret()
	if err != nil {
		return nil, fmt.Errorf("grpcpool: reading the secret: %w", err)
	}
	return map[string]string{authorization: bearerPrefix + secret}, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// Close closes the connections. Leases stay as they are.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		if err := conn.Close(); err != nil && status.Code(err) != codes.Canceled {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// each tries a request at the endpoint that answered last or, where that one does
// not serve, at the others in turn, each once. It returns the last one tried.
func (c *Client) each(ctx context.Context, do func(poolv1.NodePoolClient) error) (at int64, err error) {
	first, n := c.current.Load(), int64(len(c.pools))
	for i := range n {
		at = (first + i) % n
		if err = do(c.pools[at]); err == nil || !movesOn(err) {
			c.current.Store(at)
			return at, err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return at, err
}

// call is each for a request that has one reply.
func (c *Client) call(ctx context.Context, do func(context.Context, poolv1.NodePoolClient) error) error {
	at, err := c.each(ctx, func(p poolv1.NodePoolClient) error {
		ctx, cancel := context.WithTimeout(ctx, c.attempt)
		defer cancel()
		return do(ctx, p)
	})
	return c.explain(ctx, at, err)
}

// movesOn reports whether another server may do better: this one was not reached,
// or says that it cannot serve. To ask the next one does no harm, for each request
// may be repeated.
func movesOn(err error) bool {
	st, _ := status.FromError(err)
	switch st.Code() {
	case codes.Unavailable:
		reason, _, _ := read(st)
		return reason != reasonNotYet
	case codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// explain makes the error that a caller sees.
func (c *Client) explain(ctx context.Context, at int64, err error) error {
	if err == nil {
		return nil
	}
	if known := fromStatus(err); known != err { //nolint:errorlint // the very same: not translated
		return known
	}
	if ctx.Err() != nil {
		return fmt.Errorf("grpcpool: server %v: %w", c.endpoints[at], ctx.Err())
	}
	return &CallError{Endpoint: c.endpoints[at], Err: err, tls: c.tls}
}

// CallError is a call that failed in a way that is no refusal of the pool's: it is
// not known whether it was carried out.
type CallError struct {
	// Endpoint is the last one tried.
	Endpoint Endpoint
	// Err is gRPC's status.
	Err error

	tls bool // it was spoken
}

// Error says which server, and what happened.
func (e *CallError) Error() string {
	st, _ := status.FromError(e.Err)
	switch st.Code() {
	case codes.DeadlineExceeded:
		return fmt.Sprintf("grpcpool: server %v does not answer: check the address, the network and firewalls, or try again", e.Endpoint)
	case codes.Unimplemented:
		return fmt.Sprintf("grpcpool: server %v is none of this version's pools: %s", e.Endpoint, st.Message())
	}
	t := trouble{text: st.Message(), tls: e.tls, unix: e.Endpoint.Path != ""}
	text, ok := t.explain()
	if !ok {
		text = t.text
	}
	return fmt.Sprintf("grpcpool: server %v: %s", e.Endpoint, text)
}

// Unwrap returns gRPC's status.
func (e *CallError) Unwrap() error { return e.Err }

// Acquire implements [pool.Pool].
func (c *Client) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (g pool.Grant, err error) {
	request := &poolv1.AcquireRequest{Namespace: namespace, Layout: l.String(), Token: token[:]}
	err = c.call(ctx, func(ctx context.Context, p poolv1.NodePoolClient) error {
		reply, err := p.Acquire(ctx, request)
		if err == nil {
			g = grantFrom(namespace, token, reply)
		}
		return err //nolint:wrapcheck // call does
	})
	return g, err
}

// Renew implements [pool.Pool].
func (c *Client) Renew(ctx context.Context, r pool.Renewal) (g pool.Grant, err error) {
	request := renewalTo(r)
	err = c.call(ctx, func(ctx context.Context, p poolv1.NodePoolClient) error {
		reply, err := p.Renew(ctx, request)
		if err == nil {
			g = grantFrom(r.Namespace, r.Token, reply)
		}
		return err //nolint:wrapcheck // call does
	})
	return g, err
}

// Release implements [pool.Pool].
func (c *Client) Release(ctx context.Context, r pool.Release) error {
	return c.call(ctx, func(ctx context.Context, p poolv1.NodePoolClient) error {
		_, err := p.Release(ctx, &poolv1.ReleaseRequest{Namespace: r.Namespace, Node: r.Node, Token: r.Token[:], Last: r.Last})
		return err //nolint:wrapcheck // call does
	})
}

// List implements [pool.Pool]. A list that breaks off in the middle ends with an
// error: another server's may differ.
func (c *Client) List(ctx context.Context, namespace string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) {
		l := listing{namespace: namespace, limit: c.attempt, yield: yield}
		at, err := c.each(ctx, func(p poolv1.NodePoolClient) error { return l.read(ctx, p) })
		if l.broken != nil {
			err = l.broken
		}
		if err != nil && !l.stopped {
			yield(pool.NodeInfo{}, c.explain(ctx, at, err))
		}
	}
}

// listing is a list being read.
type listing struct {
	namespace string
	limit     time.Duration
	yield     func(pool.NodeInfo, error) bool
	stopped   bool  // by who reads it
	broken    error // after it had begun
}

// read reads the list from one server. It is as long as it takes; only how long the
// server may be silent is bounded.
func (l *listing) read(ctx context.Context, p poolv1.NodePoolClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stream grpc.ServerStreamingClient[poolv1.ListReply]
	err := l.within(cancel, func() (err error) {
		stream, err = p.List(ctx, &poolv1.ListRequest{Namespace: l.namespace})
		return err //nolint:wrapcheck // by the caller of call
	})
	if err != nil {
		return err
	}
	for begun := false; ; begun = true {
		var reply *poolv1.ListReply
		err := l.within(cancel, func() (err error) {
			reply, err = stream.Recv()
			return err //nolint:wrapcheck // by the caller of call
		})
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && begun:
			l.broken = err
			return nil // no other server is asked
		case err != nil:
			return err
		}
		for _, m := range reply.GetNodes() {
			if !l.yield(infoFrom(m), unusable(l.namespace, m)) {
				l.stopped = true
				return nil
			}
		}
	}
}

// within ends the list when step takes longer than the limit.
func (l *listing) within(end context.CancelFunc, step func() error) error {
	timer, cancel := context.WithTimeout(context.Background(), l.limit)
	defer context.AfterFunc(timer, func() {
		if errors.Is(timer.Err(), context.DeadlineExceeded) {
			end()
		}
	})()
	defer cancel()
	return step()
}

func unusable(namespace string, m *poolv1.NodeInfo) error {
	if m.GetUnusable() == "" {
		return nil
	}
	return &pool.RecordError{What: fmt.Sprintf("node %d of %s", m.GetNode(), namespace), Reason: m.GetUnusable()}
}

// Revoke implements [pool.Pool].
func (c *Client) Revoke(ctx context.Context, namespace string, node int64) error {
	return c.call(ctx, func(ctx context.Context, p poolv1.NodePoolClient) error {
		_, err := p.Revoke(ctx, &poolv1.RevokeRequest{Namespace: namespace, Node: node})
		return err //nolint:wrapcheck // call does
	})
}

// Retire implements [pool.Pool].
func (c *Client) Retire(ctx context.Context, namespace string, node int64) error {
	return c.call(ctx, func(ctx context.Context, p poolv1.NodePoolClient) error {
		_, err := p.Retire(ctx, &poolv1.RetireRequest{Namespace: namespace, Node: node})
		return err //nolint:wrapcheck // call does
	})
}

// Namespaces implements [pool.Manager]. It returns those that the caller may use.
func (c *Client) Namespaces(ctx context.Context) (all []pool.Namespace, err error) {
	request := &poolv1.NamespacesRequest{PageSize: mostNamespaces}
	for {
		var reply *poolv1.NamespacesReply
		err := c.call(ctx, func(ctx context.Context, p poolv1.NodePoolClient) (err error) {
			reply, err = p.Namespaces(ctx, request)
			return err //nolint:wrapcheck // call does
		})
		if err != nil {
			return nil, err
		}
		for _, m := range reply.GetNamespaces() {
			n, err := namespaceFrom(m)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
		if !reply.GetMore() {
			return all, nil
		}
		// Names must grow, else a server could keep us here for ever.
		last := ""
		if len(all) > 0 {
			last = all[len(all)-1].Name
		}
		if last <= request.GetAfter() {
			return nil, &pool.RecordError{What: "the list of namespaces", Reason: fmt.Sprintf("after %q the server begins anew", request.GetAfter())}
		}
		request = &poolv1.NamespacesRequest{PageSize: mostNamespaces, After: last}
	}
}

// CreateNamespace implements [pool.Manager]. The floor is the server's to decide.
func (c *Client) CreateNamespace(ctx context.Context, n pool.Namespace) error {
	return c.call(ctx, func(ctx context.Context, p poolv1.NodePoolClient) error {
		_, err := p.CreateNamespace(ctx, &poolv1.CreateNamespaceRequest{Namespace: namespaceTo(n)})
		return err //nolint:wrapcheck // call does
	})
}

// AcceptClock implements [pool.Manager], for the one server that it reaches.
func (c *Client) AcceptClock(ctx context.Context, namespace string) error {
	_, _, err := c.AcceptServerClock(ctx, namespace)
	return err
}

// AcceptServerClock is AcceptClock, and returns which server it has reached, and what
// that one's clock shows: the zero time of one that does not say.
func (c *Client) AcceptServerClock(ctx context.Context, namespace string) (at Endpoint, now time.Time, err error) {
	var reply *poolv1.AcceptClockReply
	i, err := c.each(ctx, func(p poolv1.NodePoolClient) error {
		ctx, cancel := context.WithTimeout(ctx, c.attempt)
		defer cancel()
		var err error
		reply, err = p.AcceptClock(ctx, &poolv1.AcceptClockRequest{Namespace: namespace})
		return err //nolint:wrapcheck // explain does
	})
	if err == nil && reply.GetNow() != 0 {
		now = time.Unix(0, reply.GetNow())
	}
	return c.endpoints[i], now, c.explain(ctx, i, err)
}
