package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Option changes how a store is opened.
type Option func(*options)

type options struct {
	prefix string
	log    *slog.Logger
	fresh  bool
	shown  string // where the server is, unless the client says so
}

// WithPrefix sets what all keys begin with, "easyflake:" by default. Stores of other
// prefixes are other stores. It must not be empty, or have braces.
func WithPrefix(prefix string) Option { return func(o *options) { o.prefix = prefix } }

// WithLogger sets where the store says what an operator should know: lost records, a
// restarted server, a server that keeps its data badly. The default is [slog.Default].
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// WithFresh says that there has never been a store under this prefix, so that an empty
// one is not doubtful. Give it once, not at every start: where records were lost, it
// makes IDs repeat. It means nothing where there is anything.
func WithFresh() Option { return func(o *options) { o.fresh = true } }

// Open opens the store of a server, of a cluster, or of the master that Sentinel names, by
// a URL as go-redis reads it, but for the second part of the scheme:
//
//	redis://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS
//	rediss://...                               over TLS
//	unix://USER:PASSWORD@PATH?db=DATABASE
//	redis+cluster://USER:PASSWORD@HOST:PORT?addr=HOST:PORT&addr=...&OPTIONS
//	redis+sentinel://HOST:PORT/DATABASE?master_name=NAME&addr=HOST:PORT&...
//	rediss+cluster://..., rediss+sentinel://...
//
// For a cluster, some of its members are named; for Sentinel, some Sentinels (at port
// 26379, unless another one is given), and what they call the master. The user and the
// password before a Sentinel's name are for the Sentinels; those for the server are the
// options username and password.
//
// No error and no log line shows a password.
func Open(ctx context.Context, address string, opts ...Option) (*Store, error) {
	t, err := parse(address)
	if err != nil {
		return nil, err
	}
	client := t.connect()
	s, err := New(ctx, client, append(slices.Clip(opts), func(o *options) { o.shown = t.shown })...)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	s.own = true
	return s, nil
}

// New opens the store that a client reaches: of a server, of whichever Sentinel calls
// the master, or of a cluster. It must not read from replicas, nor be a Ring, which puts
// keys elsewhere when a server is gone. The client stays the caller's to close, after
// the store.
func New(ctx context.Context, client redis.UniversalClient, opts ...Option) (*Store, error) {
	s := &Store{
		options: options{prefix: "easyflake:", log: slog.Default()},
		client:  client,
		address: "a given client",
		scripts: newScripts(),
		turn:    make(chan struct{}, 1),
	}
	for _, opt := range opts {
		opt(&s.options)
	}
	if s.prefix == "" || strings.ContainsAny(s.prefix, "{}") {
		return nil, fmt.Errorf("pool: the prefix %q of a store in Redis must not be empty, nor have braces", s.prefix)
	}
	s.keys = newKeys(s.prefix)
	switch c := client.(type) {
	case *redis.Client:
		s.address = fmt.Sprintf("%s/%d", c.Options().Addr, c.Options().DB)
		if c.Options().Addr == "FailoverClient" { // which is what all of them say
			s.address = fmt.Sprintf("the master of a Sentinel/%d", c.Options().DB)
		}
	case *redis.ClusterClient:
		if len(c.Options().Addrs) > 0 { // else it is a Sentinel's
			s.address = strings.Join(c.Options().Addrs, ",")
		}
		if c.Options().ReadOnly {
			return nil, s.errorf(ErrReadOnly, nil, "the client reads from replicas, which may be behind: make one without ReadOnly, RouteByLatency and RouteRandomly")
		}
	case *redis.Ring:
		return nil, s.errorf(ErrUnsupported, nil, "a Ring puts keys elsewhere when a server is gone: use the client of a server, of Sentinel or of a cluster")
	}
	s.address = cmp.Or(s.shown, s.address)
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// begin looks at the server for the first time.
func (s *Store) begin(ctx context.Context) error {
	st, err := s.look(ctx)
	if err != nil {
		return err
	}
	if s.fresh && st.empty {
		if _, err := s.trust(ctx, st, true); err != nil {
			return err
		}
		if st, err = s.look(ctx); err != nil {
			return err
		}
	}
	if !st.aof {
		s.log.WarnContext(ctx, "Redis keeps no append-only file: when it restarts, leases are lost, and none is granted for a horizon; set appendonly yes and appendfsync always", "server", s.address)
	} else if fsync := s.fsync(ctx); fsync != "always" && fsync != "" {
		s.log.InfoContext(ctx, "Redis acknowledges writes before they are on the disk: set appendfsync always, or the last ones may be lost in a crash", "server", s.address, "appendfsync", fsync)
	}
	return nil
}

// fsync returns when the append-only file is synced; "" where that is not told.
func (s *Store) fsync(ctx context.Context) string {
	var asked redis.Cmdable = s.client
	if c, ok := s.client.(*redis.ClusterClient); ok {
		master, err := c.MasterForKey(ctx, s.keys.store)
		if err != nil {
			return ""
		}
		asked = master
	}
	return asked.ConfigGet(ctx, "appendfsync").Val()["appendfsync"]
}
