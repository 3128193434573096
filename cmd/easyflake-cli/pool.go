package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/filestore"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/certs"
)

// Kinds of pools.
const (
	schemeFile = "file"
	schemeBolt = "bolt"
	schemeGRPC = "grpc"
	schemeUnix = "unix"
)

// poolValue is a pool on the command line. The zero value is the user's own.
type poolValue struct {
	scheme, path string
	servers      []grpcpool.Endpoint // with grpc and unix
	engine       *engine             // with a database
	secret       string              // its URL, with the password; path is without
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *poolValue) UnmarshalText(text []byte) error {
	e, err := parseEngine(string(text))
	if err != nil {
		return err
	}
	if e != nil {
		*v = enginePool(e, string(text))
		return nil
	}
	scheme, path, _ := strings.Cut(string(text), ":")
	*v = poolValue{scheme: scheme, path: path}
	switch {
	case path == "":
	case scheme == schemeFile, scheme == schemeBolt:
		return nil
	case scheme == schemeGRPC && strings.HasPrefix(path, "//"):
		var err error
		v.servers, err = grpcpool.ParseEndpoints(strings.TrimSuffix(path[2:], "/"))
		return plain(err)
	case scheme == schemeUnix:
		v.servers = []grpcpool.Endpoint{{Path: path}}
		return nil
	}
	return &plainError{fmt.Errorf("%q must be grpc://HOST[:PORT],... or unix:PATH, for a pool server; %sfor a database; file:PATH, for any number of programs on this machine; or bolt:PATH, for one at a time", unsecret(string(text)), engineForms())}
}

func enginePool(e *engine, url string) poolValue {
	scheme, path, _ := strings.Cut(e.redacted(url), ":")
	return poolValue{scheme: scheme, path: path, engine: e, secret: url}
}

func (v poolValue) String() string { return v.scheme + ":" + v.path }

// remote reports whether the pool is a server's.
func (v poolValue) remote() bool { return v.servers != nil }

// store is what file and bolt have beside the operations of a store.
type store interface {
	pool.Store

	Doubtful() string
	Settle(ctx context.Context, p *pool.Local) error
}

// openPool is a pool with its store, and how it was named.
type openPool struct {
	pool.Manager

	client *grpcpool.Client // with a server
	local  *pool.Local      // without one, as is store
	store  store
	url    poolValue
	own    bool
	warn   func(format string, args ...any)

	end      context.CancelFunc // of watching for new certificates, or nil
	watching sync.WaitGroup
}

// Close closes the pool.
func (p *openPool) Close() error {
	if p.end != nil {
		p.end()
		p.watching.Wait()
	}
	if p.client != nil {
		return p.client.Close() //nolint:wrapcheck // says itself what is wrong
	}
	return p.local.Close() //nolint:wrapcheck // says itself what is wrong
}

// openHow says how to open a pool.
type openHow struct {
	create, restored bool
	fresh            bool       // see engine
	level            slog.Level // what to say on stderr, from here on
	log              *slog.Logger
	remote           remoteFlags
}

// openPool opens a pool, the user's own where none is named.
func (w *world) openPool(ctx context.Context, v poolValue, how openHow) (*openPool, error) {
	p := &openPool{url: v, own: v.scheme == "", warn: w.warn}
	if p.own {
		var err error
		if p.url, err = w.ownPool(); err != nil {
			return nil, err
		}
	}
	var err error
	if p.url.remote() {
		if how.restored {
			return nil, wrongf("--restored is for whoever starts the server: give it to 'easyflake-cli grpc'")
		}
		var own *certs.Reloader
		if p.client, own, err = how.remote.client(p.url); err != nil {
			return nil, err
		}
		p.Manager = p.client
		if own != nil {
			life, end := context.WithCancel(context.WithoutCancel(ctx))
			p.end = end
			p.watching.Go(func() {
				own.Watch(life, w.clock, changesEvery, func(err error) {
					if err != nil {
						w.warn("going on with the old certificates: %v", plain(err))
					}
				})
			})
		}
		return p, nil
	}
	if err := how.remote.unused(); err != nil {
		return nil, err
	}
	how.log = w.logger(how.level)
	if p.store, err = p.openStore(ctx, how); err != nil {
		return nil, p.explain(err)
	}
	p.local = pool.New(p.store, pool.WithLogger(how.log))
	p.Manager = p.local
	return p, nil
}

// openStore waits for other processes that have the store, until ctx ends.
func (p *openPool) openStore(ctx context.Context, how openHow) (store, error) {
	type result struct {
		store store
		err   error
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	opened := make(chan result, 1)
	go func() {
		var r result
		r.store, r.err = p.url.open(ctx, how)
		opened <- r
	}()
	select {
	case r := <-opened:
		return r.store, r.err
	case <-ctx.Done(): // the program is about to end, and the store with it
		return nil, context.Cause(ctx)
	}
}

func (v poolValue) open(ctx context.Context, how openHow) (store, error) {
	if v.engine != nil {
		return v.openEngine(ctx, how)
	}
	if v.scheme == schemeBolt {
		var opts []boltstore.Option
		if how.create {
			opts = append(opts, boltstore.WithCreate())
		}
		if how.restored {
			opts = append(opts, boltstore.WithRestored())
		}
		return boltstore.Open(v.path, opts...)
	}
	var opts []filestore.Option
	if how.create {
		opts = append(opts, filestore.WithCreate())
	}
	if how.restored {
		opts = append(opts, filestore.WithRestored())
	}
	return filestore.Open(v.path, opts...)
}

// flag is how a command line names the pool.
func (p *openPool) flag() string {
	if p.own {
		return ""
	}
	return " --pool " + p.url.String()
}

// explain adds to an error which command helps.
func (p *openPool) explain(err error) error {
	var unknown *pool.UnknownNamespaceError
	missing := p.Manager == nil && p.url.engine == nil && (errors.Is(err, filestore.ErrMissing) || errors.Is(err, fs.ErrNotExist))
	switch {
	case err == nil:
		return nil
	case p.url.engine != nil && p.url.engine.explain(err, p.url.String()) != "":
		return p.url.engine.said(err, p.url.String())
	case missing && p.own:
		return &explainedError{fmt.Sprintf("you have no pool yet: it would be %s, and 'easyflake-cli next' creates it", p.url.path), err}
	case missing:
		return &explainedError{fmt.Sprintf("there is no pool %s: check the path, or create it with 'easyflake-cli namespace create NAME --layout LAYOUT%s'", p.url, p.flag()), err}
	case p.Manager == nil && (errors.Is(err, filestore.ErrLost) || errors.Is(err, filestore.ErrDamaged)):
		return &explainedError{fmt.Sprintf("%v; that is 'easyflake-cli namespace list --restored%s'", plain(err), p.flag()), err}
	case errors.Is(err, filestore.ErrDoubtful) && p.store != nil:
		return &explainedError{fmt.Sprintf("%s may have lost records (%s): run 'easyflake-cli namespace list --restored%s' once, and no window begins before those that may be lost are over", p.url, p.store.Doubtful(), p.flag()), err}
	case errors.As(err, &unknown) && unknown.Nearest == "":
		return &explainedError{fmt.Sprintf("there is no namespace %q in %s: create it with 'easyflake-cli namespace create %s --layout LAYOUT%s'", unknown.Name, p.url, unknown.Name, p.flag()), err}
	}
	return plain(err)
}

// explainedError is an error of the library in words that fit a command line.
type explainedError struct {
	text string
	err  error
}

func (e *explainedError) Error() string { return e.text }

func (e *explainedError) Unwrap() error { return e.err }

// settle trusts a store that may have lost records, once no window can begin
// before those are over. Without a namespace there is nothing to raise a floor of,
// and a file stays as it is for whoever creates one; an engine notes the doubt itself.
func (p *openPool) settle(ctx context.Context) error {
	if p.client != nil || p.store.Doubtful() == "" {
		return nil
	}
	names, err := p.store.Namespaces(ctx)
	if err != nil {
		return p.explain(err)
	}
	if len(names) == 0 && p.url.engine == nil {
		return nil
	}
	why := p.store.Doubtful()
	if err := p.store.Settle(ctx, p.local); err != nil {
		return p.explain(err)
	}
	p.warn("%s may have lost records (%s): no window begins before those that may be lost are over, about two minutes", p.url, why)
	return nil
}

// named returns the namespace of a name or, where none is given, the only one.
func (p *openPool) named(ctx context.Context, name string) (pool.Namespace, error) {
	all, err := p.Namespaces(ctx)
	if err != nil {
		return pool.Namespace{}, p.explain(err)
	}
	if name == "" {
		return p.only(all, "")
	}
	for _, ns := range all {
		if ns.Name == name {
			return ns, nil
		}
	}
	// Any operation on it finds the nearest name.
	for _, err := range p.List(ctx, name) {
		return pool.Namespace{}, p.explain(err)
	}
	return pool.Namespace{}, p.explain(&pool.UnknownNamespaceError{Name: name})
}

// only returns the only namespace of those in question.
func (p *openPool) only(all []pool.Namespace, which string) (pool.Namespace, error) {
	switch len(all) {
	case 0:
		return pool.Namespace{}, fmt.Errorf("%s has no namespace%s: create one with 'easyflake-cli namespace create NAME --layout LAYOUT%s'", p.url, which, p.flag())
	case 1:
		return all[0], nil
	}
	names := make([]string, len(all))
	for i, ns := range all {
		names[i] = ns.Name
	}
	slices.Sort(names)
	return pool.Namespace{}, wrongf("%s has %d namespaces%s: name one with --namespace: %s", p.url, len(all), which, strings.Join(names, ", "))
}

// forLayout returns the namespace for IDs of a layout where none is named: the one
// called what the layout is, or else the only one that has it. A file pool without
// either gets the former.
func (p *openPool) forLayout(ctx context.Context, l layout.Layout) (string, error) {
	name := l.String()
	if p.store != nil { // without reading all of them
		r, err := p.store.Namespace(ctx, name)
		if err != nil || r.Revision != 0 {
			return name, p.explain(err)
		}
	}
	all, err := p.Namespaces(ctx)
	if err != nil {
		return "", p.explain(err)
	}
	if slices.ContainsFunc(all, func(ns pool.Namespace) bool { return ns.Name == name }) {
		return name, nil
	}
	all = slices.DeleteFunc(all, func(ns pool.Namespace) bool { return ns.Layout != l })
	if len(all) > 0 || p.url.scheme != schemeFile {
		ns, err := p.only(all, " of the layout "+name)
		return ns.Name, err
	}
	err = p.CreateNamespace(ctx, pool.NewNamespace(name, l))
	if err != nil && !errors.Is(err, pool.ErrExists) { // by another process, meanwhile
		return "", p.explain(err)
	}
	return name, nil
}

// poolFlags say which pool a command is for.
type poolFlags struct {
	Pool     poolValue `placeholder:"URL" env:"EASYFLAKE_POOL" help:"Pool: grpc://HOST[:PORT],..., unix:PATH, etcd://HOST,HOST, postgres://USER@HOST/DATABASE, redis://HOST (or redis+cluster://, redis+sentinel://), file:PATH or bolt:PATH. Without it, your own, which 'next' uses."`
	Restored bool      `help:"Say that the file or the database was put back from a backup, or is lost for good: no window begins before those that may have been forgotten are over."`

	remoteFlags
}

// with opens the pool for a command.
func (f *poolFlags) with(ctx context.Context, w *world, create bool, do func(*openPool) error) (err error) {
	p, err := w.openPool(ctx, f.Pool, openHow{create: create, restored: f.Restored, level: slog.LevelWarn, remote: f.remoteFlags})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain(p.Close())) }()
	if f.Restored {
		if err := p.settle(ctx); err != nil {
			return err
		}
	}
	if err := do(p); err != nil {
		return err
	}
	if f.Restored {
		return p.settle(ctx) // with what do has created
	}
	return nil
}
