package pgstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool/internal/redacted"
)

const (
	defaultSchema      = "easyflake"
	defaultConnections = 16
	connectTimeout     = 5 * time.Second
	defaultTimeout     = 3 * time.Second

	schemaParameter = "easyflake_schema"
)

// Option changes how a store is opened.
type Option func(*options)

type options struct {
	schema  string
	timeout time.Duration
}

// WithSchema sets the schema that the tables are in, "easyflake" by default. The URL's
// easyflake_schema comes first.
func WithSchema(name string) Option { return func(o *options) { o.schema = name } }

// WithTimeout bounds how long the database is waited for each time, 3 seconds by
// default: a connection whose other end is gone, as after a failover to another host
// under the same address, must not take all the time that a renewal has. What came of
// a write that took longer is not known. The time to connect is the URL's
// connect_timeout, 5 seconds by default.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Redacted returns a URL as it may be shown to anybody: without the password and
// without the parameters, of which some are secret too, but the schema. It need not be
// a valid one.
func Redacted(address string) string {
	return redacted.URL(address, schemaParameter, "postgres", "postgresql")
}

// Valid says what is wrong with a URL, as far as that can be told without connecting.
func Valid(address string) error {
	_, _, err := parse(address, nil)
	return err
}

// parse leaves all to pgx but the schema.
func parse(address string, opts []Option) (*pgxpool.Config, options, error) {
	o := options{schema: defaultSchema, timeout: defaultTimeout}
	for _, opt := range opts {
		opt(&o)
	}
	if o.timeout <= 0 {
		return nil, o, &layout.FieldError{Field: "timeout", Value: o.timeout, Reason: "must be positive"}
	}
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return nil, o, fmt.Errorf("%w: it must be postgres://USER:PASSWORD@HOST:PORT/DATABASE", ErrURL)
	}
	u, err := url.Parse(address)
	if err != nil { // its text may have a part of the password in it
		return nil, o, unclear(address)
	}
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		// Where there is an @ that ends no user and password, what pgx takes for a host or
		// a name, and repeats, may be a part of the password.
		if n := strings.Count(address, "@"); n > 1 || n == 1 && u.User == nil {
			return nil, o, unclear(address)
		}
		return nil, o, fmt.Errorf("%w: %s%w", ErrURL, Redacted(address), cause(err))
	}
	if schema, given := c.ConnConfig.RuntimeParams[schemaParameter]; given {
		o.schema = schema
		delete(c.ConnConfig.RuntimeParams, schemaParameter)
	}
	if o.schema == "" || len(o.schema) > 63 || strings.ContainsRune(o.schema, 0) {
		return nil, o, fmt.Errorf("%w: the name of the schema must have 1 to 63 bytes", ErrURL)
	}
	if !strings.Contains(address, "pool_max_conns=") {
		c.MaxConns = defaultConnections
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = connectTimeout
	}
	// One round trip, and nothing that only this session knows: the next statement may
	// come to another one, behind PgBouncer. Where it cannot, see prepare.
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.ConnConfig.OnNotice = noteWarning
	c.ConnConfig.StatementCacheCapacity, c.ConnConfig.DescriptionCacheCapacity = 0, 0
	return c, o, nil
}

func unclear(address string) error {
	return fmt.Errorf("%w: %s cannot be understood; write characters of a password that mean something in a URL as %%XX", ErrURL, Redacted(address))
}

// cause returns what is wrong with a URL without the URL itself.
func cause(err error) error {
	text := err.Error()
	return errors.New(text[strings.LastIndexByte(text, '`')+1:]) // which quotes it
}
