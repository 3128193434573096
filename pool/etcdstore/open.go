package etcdstore

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
)

// DefaultPrefix is the prefix of all keys where no other is given.
const DefaultPrefix = "easyflake/"

// defaultPort is that of etcd's clients.
const defaultPort = 2379

// Option changes how a store is opened.
type Option func(*options)

type options struct {
	prefix   string
	tls      *tls.Config
	user     string
	password string
	timeout  time.Duration
	attempt  time.Duration
	clock    clock.Clock
	log      *zap.Logger
	dial     []grpc.DialOption
	refused  refusal
}

// WithPrefix sets the prefix of all keys, [DefaultPrefix] by default. Pools with
// different prefixes know nothing of each other; two namespaces of one name are then
// two.
func WithPrefix(prefix string) Option { return func(o *options) { o.prefix = prefix } }

// WithTLS encrypts what passes between here and etcd, and proves who etcd is, and
// with a certificate in c also who this is. Without it everything, also a password,
// is sent in the clear.
func WithTLS(c *tls.Config) Option { return func(o *options) { o.tls = c.Clone() } }

// WithUser sets the etcd user.
func WithUser(name, password string) Option {
	return func(o *options) { o.user, o.password = name, password }
}

// WithTimeout bounds a call with all its attempts, 8 seconds by default: somewhat
// less than a lease waits for its pool.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithAttemptTimeout bounds how long one member of etcd is waited for before the
// next one is asked, 1 second by default, and a quarter and a half of that for the
// first two: one that hangs must not take much of the time that a renewal has. An etcd
// that takes longer is asked again and again, and what came of the first attempt counts.
func WithAttemptTimeout(d time.Duration) Option { return func(o *options) { o.attempt = d } }

// WithClock sets the clock that the store tells the time by, [clock.System] by
// default.
func WithClock(c clock.Clock) Option { return func(o *options) { o.clock = c } }

// WithClientLog has etcd's client log what it does. It says nothing by default: what
// matters is in the errors.
func WithClientLog(log *zap.Logger) Option { return func(o *options) { o.log = log } }

func newOptions(opts []Option) (*options, error) {
	o := &options{prefix: DefaultPrefix, timeout: 8 * time.Second, attempt: time.Second, clock: clock.System{}, log: zap.NewNop()}
	for _, opt := range opts {
		opt(o)
	}
	switch {
	case o.prefix == "" || len(o.prefix) > maxName:
		return nil, &layout.FieldError{Field: "prefix", Value: o.prefix, Reason: "must have 1 to " + strconv.Itoa(maxName) + " bytes, as easyflake/ has"}
	case o.attempt <= 0 || o.timeout < o.attempt:
		return nil, &layout.FieldError{Field: "attempt timeout", Value: o.attempt, Reason: "must be positive, and not longer than the timeout of a call"}
	case (o.user == "") != (o.password == ""):
		return nil, &layout.FieldError{Field: "user", Value: o.user, Reason: "must come with a password, and a password with a user; to be known by a certificate, give neither"}
	}
	return o, nil
}

func (o *options) store(client *clientv3.Client, own bool) *Store {
	s := &Store{client: client, own: own, keys: keys{o.prefix}, clock: o.clock, timeout: o.timeout, attempt: o.attempt, refused: &o.refused}
	if client != nil {
		s.kv = client.KV
	}
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// New returns a store that speaks through a client, which must outlive it, and which
// it does not close. [WithTLS], [WithUser] and [WithClientLog] are the client's own
// business and change nothing here. Nothing is read or written yet.
func New(client *clientv3.Client, opts ...Option) (*Store, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	return o.store(client, false), nil
}

// Open connects to the members of one etcd, each HOST, HOST:PORT or [IPV6]:PORT, and
// reads once, so that what is wrong is told at once. It writes nothing.
func Open(ctx context.Context, endpoints []string, opts ...Option) (*Store, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	members, err := parseEndpoints(endpoints)
	if err != nil {
		return nil, err
	}
	s := o.store(nil, true)
	life := context.WithoutCancel(ctx)
	if _, err := s.call(ctx, func(ctx context.Context) error {
		s.client, err = o.connect(ctx, life, members)
		return err
	}); err != nil {
		s.close()
		return nil, err
	}
	s.kv = s.client.KV
	if _, err := s.Namespaces(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// connect makes a client. It gets itself a token, if it has a user, and waits for
// nothing else. Of the contexts, the first one is that of the attempt alone.
func (o *options) connect(ctx, life context.Context, members []string) (*clientv3.Client, error) {
	life, end := context.WithCancel(life)
	stop := context.AfterFunc(ctx, end)
	dial := append([]grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
		// The default waits for up to two minutes for a member that was down.
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
		MinConnectTimeout: 5 * time.Second,
	})}, o.dial...)
	if o.tls != nil {
		dial = append(dial, grpc.WithTransportCredentials(&handshakes{credentials.NewTLS(o.tls), o.tls.ServerName, &o.refused}))
	}
	client, err := clientv3.New(clientv3.Config{
		Context:     life,
		Endpoints:   members,
		TLS:         o.tls,
		Username:    o.user,
		Password:    o.password,
		DialTimeout: o.attempt,
		Logger:      o.log,
		// A member that hangs is found out between requests, too. Servers close the
		// connections of those who ask more often.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		// Attempts are made here: which ones failed decides what is known of a write.
		MaxUnaryRetries: 1,
		DialOptions:     dial,
	})
	if err == nil && !stop() {
		_ = client.Close()
		err = ctx.Err()
	}
	if err != nil {
		end()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err //nolint:wrapcheck // call does
	}
	return client, nil
}

func parseEndpoints(all []string) ([]string, error) {
	if len(all) == 0 {
		return nil, &layout.FieldError{Field: "endpoints", Value: "", Reason: "must name a member of etcd"}
	}
	var members []string
	for _, text := range all {
		host, port, err := splitEndpoint(text)
		if err != nil {
			return nil, err
		}
		members = append(members, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return members, nil
}

func splitEndpoint(text string) (host string, port int, err error) {
	// The text is not repeated where it may hold a password.
	bad := func(reason string) (string, int, error) {
		if strings.ContainsAny(text, "@:") { // a user and a password without a host have no @
			text = "(hidden)"
		}
		return "", 0, &layout.FieldError{Field: "endpoint", Value: text, Reason: reason}
	}
	if strings.Contains(text, "://") {
		return bad("must be HOST or HOST:PORT alone, without http:// or https://; TLS is an option of its own")
	}
	host = text
	digits := strconv.Itoa(defaultPort)
	if bare, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(bare, "]") {
		host = strings.TrimSuffix(bare, "]")
	} else if strings.Contains(text, ":") {
		if host, digits, err = net.SplitHostPort(text); err != nil {
			return bad("must be HOST or HOST:PORT, with an IPv6 address in brackets")
		}
	}
	if host == "" || strings.ContainsAny(host, "/?#@% \t\r\n,[]") {
		return bad("must name a host or an address")
	}
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || number == 0 {
		return bad("must have a port from 1 to 65535")
	}
	return host, int(number), nil
}
