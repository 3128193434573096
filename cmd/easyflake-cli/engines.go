package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/easyflake/easyflake/pool"
)

// engine is a database that keeps the leases for programs and servers on many
// machines. Each stands in a file of its own.
type engine struct {
	schemes []string // of its URLs
	form    string   // of its URLs, for help

	// valid says what is wrong with a URL, as far as that can be told without
	// connecting; its error has nothing secret in it.
	valid func(url string) error
	// redacted returns a URL without what is secret.
	redacted func(url string) string
	// open connects.
	open func(ctx context.Context, url string, how engineHow) (pool.Store, error)
	// clockless says that it has no clock that a store could go by: whoever asks goes by
	// the machine's own.
	clockless bool
	// fresh says that an empty database has to be told that it was never a store's.
	fresh bool
	// explain says in the words of the command line what to do about an error, or "".
	// shown is the redacted URL.
	explain func(err error, shown string) string
	// final are errors that no repetition mends.
	final []error
	// prepare makes what the store needs, and reports whether it was not there; nil
	// for an engine that needs nothing.
	prepare func(ctx context.Context, url string) (created bool, err error)
}

// engineHow says how to open an engine's store.
type engineHow struct {
	log   *slog.Logger
	fresh bool
}

// engines are all that there are.
func engines() []engine {
	return []engine{etcdEngine(), postgresEngine(), redisEngine()}
}

// engineOf returns the engine of a URL's scheme, or nil.
func engineOf(scheme string) *engine {
	for _, e := range engines() {
		if slices.Contains(e.schemes, scheme) {
			return &e
		}
	}
	return nil
}

// engineForms lists the forms of all engines' URLs, each followed by a comma.
func engineForms() string {
	var forms strings.Builder
	for _, e := range engines() {
		forms.WriteString(e.form + ", ")
	}
	return forms.String()
}

// parseEngine returns the engine of a URL, or nil if it is another kind of pool. Its
// error does not show the URL.
func parseEngine(url string) (*engine, error) {
	scheme, _, _ := strings.Cut(url, ":")
	e := engineOf(scheme)
	if e == nil {
		return nil, nil //nolint:nilnil // as said above
	}
	if err := e.valid(url); err != nil {
		return nil, plain(err)
	}
	return e, nil
}

// engineStore is an engine's store. What was lost before it was opened, if anything,
// only an operator knows: the engines keep no marker beside themselves.
type engineStore struct {
	pool.Store

	restored bool
}

// Doubtful implements store.
func (s *engineStore) Doubtful() string {
	if !s.restored {
		return ""
	}
	return "it is said to have been put back"
}

// Settle implements store.
func (s *engineStore) Settle(ctx context.Context, p *pool.Local) error {
	if err := p.Doubt(ctx); err != nil {
		return err //nolint:wrapcheck // says itself what is wrong
	}
	s.restored = false
	return nil
}

// openEngine opens an engine's store. One that can be in doubt by itself says so.
func (v poolValue) openEngine(ctx context.Context, how openHow) (store, error) {
	opened, err := v.engine.open(ctx, v.secret, engineHow{how.log, how.fresh})
	if err != nil {
		return nil, err
	}
	if s, ok := opened.(store); ok && !how.restored {
		return s, nil
	}
	return &engineStore{Store: opened, restored: how.restored}, nil
}

// passwords finds them in URLs, whatever these are part of.
func passwords() *regexp.Regexp { return regexp.MustCompile(`([^\s:/@"']+://[^\s:/@"']*):[^\s"']*@`) }

// unsecret leaves passwords out of a text that quotes what somebody typed.
func unsecret(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return passwordOptions().ReplaceAllString(passwords().ReplaceAllString(text, "$1@"), "$1")
}

// passwordOptions finds those that are options of URLs.
func passwordOptions() *regexp.Regexp { return regexp.MustCompile(`(?i)([?&]\w*password=)[^\s&]*`) }

// storeCmd is a family of commands about databases that keep leases.
type storeCmd struct {
	Init storeInitCmd `cmd:"" help:"Make a database ready to keep leases."`
}

// Help is printed below the usage.
func (*storeCmd) Help() string {
	return `
A database can keep the leases, in place of a server's file: then several servers, or programs themselves, share it, and none of them is one that all depend on.

Examples:

    easyflake-cli store init postgres://owner@db.example.com/ids
`
}

// engineValue is a database on the command line.
type engineValue struct {
	url    string
	engine *engine
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *engineValue) UnmarshalText(text []byte) error {
	e, err := parseEngine(string(text))
	if err != nil {
		return err
	}
	if e == nil {
		return &plainError{fmt.Errorf("the URL must be %s for a database; other stores are created where they are used", strings.TrimSuffix(engineForms(), ", "))}
	}
	*v = engineValue{string(text), e}
	return nil
}

// storeInitCmd makes a database ready.
type storeInitCmd struct {
	URL engineValue `arg:"" env:"EASYFLAKE_STORE" help:"The database, as for --store and --pool."`
}

// Help is printed below the usage.
func (*storeInitCmd) Help() string {
	return `
Creates the tables that leases are kept in, in a schema of their own, and changes nothing if they are there. This needs a user who may do so; programs and servers then do with fewer permissions, which the documentation of package pgstore lists. Nothing else creates them: a database that was lost is not taken for a new one.

A password can stand in the URL, or in PostgreSQL's own password file, or in the environment variable PGPASSWORD. Other users of this machine can see a command line, but not the environment variable EASYFLAKE_STORE, which may hold the URL.

Examples:

    easyflake-cli store init postgres://owner@db.example.com/ids
    easyflake-cli store init "postgres://owner@db.example.com/ids?easyflake_schema=leases"
    easyflake-cli namespace create orders --pool postgres://app@db.example.com/ids
    easyflake-cli grpc --store postgres://app@db.example.com/ids
`
}

// Run makes the database ready.
func (c *storeInitCmd) Run(ctx context.Context, w *world) error {
	e := c.URL.engine
	shown := e.redacted(c.URL.url)
	if e.prepare == nil {
		return w.print(shown + " needs no preparation\n")
	}
	created, err := e.prepare(ctx, c.URL.url)
	if err != nil {
		return e.said(err, shown)
	}
	if !created {
		return w.print(shown + " is ready, and was before\n")
	}
	return w.print(shown + " is ready\n")
}

// said is an error in the words of the command line.
func (e *engine) said(err error, shown string) error {
	if text := e.explain(err, shown); text != "" {
		return &explainedError{text, err}
	}
	return plain(err)
}
