package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
)

// grpcCmd is the pool server.
type grpcCmd struct {
	Host string    `short:"H" default:"127.0.0.1" placeholder:"HOST" help:"Name or address to listen at, 0.0.0.0 or :: for all, or unix:PATH for a socket (127.0.0.1)."`
	Port portValue `short:"p" default:"50051" placeholder:"PORT" help:"Port to listen at; 0 for any that is free (50051)."`

	hostFlags

	Store    storeValue `placeholder:"URL" env:"EASYFLAKE_STORE" help:"Where the leases are kept: bolt:PATH; a database that several servers may share, etcd://HOST,HOST,HOST, postgres://USER@HOST/DATABASE or redis://USER@HOST (redis+cluster://, redis+sentinel://); or memory: for trying things out (bolt: in your state folder)."`
	Fresh    bool       `help:"With --store memory:, or with a Redis that is empty: say that nobody has a lease of an earlier server. Else nothing is granted in the first two minutes."`
	Restored bool       `help:"Say that the store was put back from a backup, or is lost for good: nothing is granted before all that it may have forgotten is over, about two minutes."`

	Config      fileValue        `placeholder:"FILE" help:"Configuration: namespaces, and who may do what. Read again on SIGHUP and when it changes."`
	Layout      *layoutValue     `placeholder:"LAYOUT" help:"Layout of the namespace 'default', which is created if there is none (easyflake)."`
	ByHand      []rangeValue     `placeholder:"FROM-TO" help:"Nodes of 'default' that people number. May be repeated."`
	LegacyNodes []rangeValue     `placeholder:"FROM-TO" help:"Nodes of 'default' for EasyFlake for Python, which the server then speaks to. May be repeated."`
	LegacyAddr  string           `name:"legacy-listen" placeholder:"ADDR" help:"Speak to EasyFlake for Python, which knows no TLS, at HOST:PORT in place of the server's own port, and in plaintext."`
	Namespace   []namespaceValue `sep:"none" placeholder:"NAME=LAYOUT" help:"Another namespace to create if there is none. May be repeated."`

	TLSCert     string `name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate of the server, as PEM. Read again on SIGHUP and when it changes, as are the other two."`
	TLSKey      string `name:"tls-key" type:"path" placeholder:"FILE" help:"Its private key, as PEM, which nobody else may read."`
	TLSClientCA string `name:"tls-client-ca" type:"path" placeholder:"FILE" help:"Authorities of clients' certificates, as PEM. Every client then has to show one, unless the configuration has secrets too."`
	GroupKey    bool   `name:"tls-group-key" help:"Let the key's group read it too, as Kubernetes mounts secrets."`
	Insecure    bool   `help:"Speak plaintext, whatever the network: anybody on the way can take nodes."`

	HTTP       string        `name:"http" placeholder:"ADDR" help:"Serve /metrics, /healthz and /readyz at HOST:PORT."`
	Reflection bool          `help:"Let clients ask which services there are."`
	MaxConns   int           `name:"max-connections" default:"4096" placeholder:"N" help:"How many clients may be connected, and how many requests under way; more are refused (4096)."`
	Drain      time.Duration `default:"10s" placeholder:"TIME" help:"How long requests under way may take once the server is asked to end (10s)."`
	LogFormat  string        `default:"text" enum:"text,json" placeholder:"NAME" help:"How to log on standard error: text or json (text)."`
	LogLevel   string        `default:"info" enum:"debug,info,warn,error" placeholder:"NAME" help:"What to log: debug, info, warn or error (info)."`
}

// Help is printed below the usage.
func (*grpcCmd) Help() string {
	return `
Leases nodes to programs on other machines: with 'next --pool grpc://HOST', or with package grpcpool. It keeps the leases on disk, so that it can be killed and started again at any time; programs go on by themselves, and no two of their IDs are equal. With a database as its store, other servers can serve the same leases at the same time.

Without certificates it listens on this machine only, unless --insecure is given. The configuration says which namespaces there are, and who may lease how many of their nodes; docs/operating.md has examples. SIGTERM and Ctrl-C end it when the requests under way are done.

Examples:

    easyflake-cli grpc
    easyflake-cli grpc -d --pid-file /run/easyflake/pool.pid --log-file /var/log/easyflake.log
    easyflake-cli grpc -H :: --tls-cert pool.crt --tls-key pool.key --tls-client-ca clients.crt --config pool.yaml
    easyflake-cli grpc --layout node=10,sequence=12 --http 127.0.0.1:9090
    easyflake-cli grpc -H 0.0.0.0 --insecure --legacy-nodes 192-255
    easyflake-cli grpc --store postgres://app@db.example.com/ids
`
}

// defaultNamespace is what a server has without being told of any.
const defaultNamespace = "default"

// portValue is a port on the command line.
type portValue uint16

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *portValue) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return &plainError{fmt.Errorf("%q must be a port from 0 to 65535", text)}
	}
	*v = portValue(n)
	return nil
}

const schemeMemory = "memory"

// storeValue is a server's store on the command line. The zero value is in the
// user's state folder.
type storeValue struct {
	scheme, path string
	database     *poolValue // or one of an engine, else nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *storeValue) UnmarshalText(text []byte) error {
	e, err := parseEngine(string(text))
	if err != nil {
		return err
	}
	if e != nil {
		p := enginePool(e, string(text))
		*v = storeValue{p.scheme, p.path, &p}
		return nil
	}
	scheme, path, found := strings.Cut(string(text), ":")
	switch {
	case found && scheme == schemeMemory && path == "":
		*v = storeValue{scheme: schemeMemory}
		return nil
	case scheme == schemeBolt && path != "":
		path, err := filepath.Abs(path) // a daemon may run elsewhere
		*v = storeValue{scheme: scheme, path: path}
		return plain(err)
	}
	return &plainError{fmt.Errorf("%q must be bolt:PATH; %sfor a database; or memory: for leases that end with the server", unsecret(string(text)), engineForms())}
}

func (v storeValue) String() string { return v.scheme + ":" + v.path }

// namespaceValue is a namespace on the command line.
type namespaceValue struct {
	name   string
	layout layout.Layout
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *namespaceValue) UnmarshalText(text []byte) error {
	name, form, found := strings.Cut(string(text), "=")
	if !found || name == "" || form == "" {
		return &plainError{fmt.Errorf("%q must be NAME=LAYOUT, as in orders=twitter or jobs=node=10,sequence=12", text)}
	}
	v.name = name
	if err := v.layout.UnmarshalText([]byte(form)); err != nil {
		return plain(err)
	}
	return plain(pool.NewNamespace(v.name, v.layout).Validate())
}

// Run runs the server.
func (c *grpcCmd) Run(ctx context.Context, w *world) error {
	s, err := c.server(w)
	if err != nil {
		return err
	}
	return c.hostFlags.run(ctx, w, s.serve, s.reload)
}

// server checks all that can be wrong with the command line, before anything is
// touched.
func (c *grpcCmd) server(w *world) (*poolServer, error) {
	s := &poolServer{cmd: c, w: w, log: w.serverLogger(c.LogFormat, c.LogLevel)}
	var err error
	if s.endpoint, err = c.endpoint(); err != nil {
		return nil, err
	}
	if c.Store == (storeValue{}) {
		folder, err := stateFolder(w.goos, w.getenv)
		if err != nil {
			return nil, err
		}
		c.Store = storeValue{scheme: schemeBolt, path: filepath.Join(folder, "pool")}
	}
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return nil, wrongf("--tls-cert and --tls-key belong together: give both")
	case c.TLSClientCA != "" && c.TLSCert == "":
		return nil, wrongf("--tls-client-ca needs a certificate of the server's own: give --tls-cert and --tls-key")
	case c.TLSCert != "" && c.Insecure:
		return nil, wrongf("--insecure contradicts --tls-cert: leave out one of them")
	case c.TLSCert == "" && !c.Insecure && !s.endpoint.Local():
		return nil, wrongf("at %s others can listen in: give --tls-cert and --tls-key or, where the network is yours alone, --insecure", c.Host)
	case c.Fresh && c.Store.database != nil && !c.Store.database.engine.fresh:
		return nil, wrongf("--fresh is for --store memory:, for a database knows what was granted; leave it out")
	case c.Fresh && c.Store.database == nil && c.Store.scheme != schemeMemory:
		return nil, wrongf("--fresh is for --store memory:, for other stores know what was granted; if this one was lost, it is --restored")
	case c.Restored && c.Store.database != nil:
		return nil, wrongf("--restored is not for a database, which other servers may be using, and which every start of this one would stop: run 'easyflake-cli namespace list --restored --pool %s' once", c.Store)
	case c.MaxConns < 1:
		return nil, wrongf("--max-connections %d: must be at least 1", c.MaxConns)
	case c.Drain < 0:
		return nil, wrongf("--drain %v: must not be negative", c.Drain)
	}
	for flag, address := range map[string]string{"--http": c.HTTP, "--legacy-listen": c.LegacyAddr} {
		if _, _, err := net.SplitHostPort(address); err != nil && address != "" {
			return nil, wrongf("%s: %q must be HOST:PORT or :PORT, as in 127.0.0.1:9090", flag, address)
		}
	}
	s.namespaces, s.implied, err = c.namespaces()
	return s, err
}

func (c *grpcCmd) endpoint() (grpcpool.Endpoint, error) {
	if path, ok := strings.CutPrefix(c.Host, "unix:"); ok && path != "" {
		path, err := filepath.Abs(path)
		return grpcpool.Endpoint{Path: path}, plain(err)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(c.Host, "["), "]")
	e, err := grpcpool.ParseEndpoint(net.JoinHostPort(host, "1"))
	if err != nil {
		return e, wrongf("--host: %q must be a name or an address to listen at, or unix:PATH", c.Host)
	}
	e.Port = int(c.Port)
	return e, nil
}

// namespaces returns those of the command line. Where nothing at all is said about
// namespaces, 'default' is implied.
func (c *grpcCmd) namespaces() (all []pool.Namespace, implied bool, err error) {
	said := c.Layout != nil || len(c.ByHand)+len(c.LegacyNodes) > 0
	implied = !said && c.Config == "" && len(c.Namespace) == 0
	if said || implied {
		l := layout.Default()
		if c.Layout != nil {
			l = c.Layout.Layout
		}
		ns, err := namespaceWith(pool.NewNamespace(defaultNamespace, l), c.ByHand, c.LegacyNodes)
		if err != nil {
			return nil, false, err
		}
		all = append(all, ns)
	}
	for _, v := range c.Namespace {
		for _, ns := range all {
			if ns.Name == v.name {
				return nil, false, wrongf("namespace %q is given twice", v.name)
			}
		}
		all = append(all, pool.NewNamespace(v.name, v.layout))
	}
	return all, implied, nil
}

// ensure creates what namespaces are missing. One that is only implied may be as
// it is.
func (s *poolServer) ensure(ctx context.Context, p *pool.Local, ns pool.Namespace) error {
	err := p.EnsureNamespace(ctx, ns)
	if err == nil || !s.implied {
		return s.hint(err)
	}
	var layouts *pool.LayoutMismatchError
	var ranges *pool.RangesMismatchError
	var terms *pool.TermsMismatchError
	if errors.As(err, &layouts) || errors.As(err, &ranges) || errors.As(err, &terms) {
		return nil
	}
	return plain(err)
}

// hint adds what to do about a namespace that is not what it is said to be.
func (s *poolServer) hint(err error) error {
	if layouts, ok := errors.AsType[*pool.LayoutMismatchError](err); ok {
		return fmt.Errorf("namespace %q in %s has the layout %v, which never changes, not %v: start the server with that layout, or name another namespace or store", layouts.Namespace, s.cmd.Store, layouts.Have, layouts.Want)
	}
	return plain(err)
}
