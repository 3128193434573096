package grpcpool

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/easyflake/easyflake/layout"
)

// DefaultPort is the port of a server where none is named: the one that EasyFlake
// for Python has.
const DefaultPort = 50051

const unixPrefix = "unix:"

// Endpoint is where a server is.
type Endpoint struct {
	// Host is a name or an address; several addresses of a name are tried in
	// turn. Empty with Path.
	Host string
	Port int
	// Path is that of a Unix socket.
	Path string
}

// ParseEndpoint reads HOST, HOST:PORT, [IPV6], [IPV6]:PORT or unix:PATH. It
// returns a [*layout.FieldError].
func ParseEndpoint(text string) (Endpoint, error) {
	bad := func(reason string) (Endpoint, error) {
		return Endpoint{}, &layout.FieldError{Field: "endpoint", Value: text, Reason: reason}
	}
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		if path == "" {
			return bad("must name the socket, as in unix:/run/easyflake/pool.sock")
		}
		return Endpoint{Path: filepath.Clean(path)}, nil
	}
	host, port := text, strconv.Itoa(DefaultPort)
	if bare, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(bare, "]") {
		host = strings.TrimSuffix(bare, "]")
	} else if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return bad("must be HOST, HOST:PORT or unix:PATH, with an IPv6 address in brackets")
		}
	}
	if host == "" || strings.ContainsAny(host, "/?#@% \t\r\n,[]") {
		return bad("must name a host or an address")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return bad("must have a port from 1 to 65535")
	}
	return Endpoint{Host: host, Port: int(number)}, nil
}

// ParseEndpoints reads endpoints separated by commas.
func ParseEndpoints(text string) ([]Endpoint, error) {
	var all []Endpoint
	for part := range strings.SplitSeq(text, ",") {
		e, err := ParseEndpoint(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// String returns what ParseEndpoint reads.
func (e Endpoint) String() string {
	if e.Path != "" {
		return unixPrefix + e.Path
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

// Local reports whether the endpoint cannot be reached from another machine: a
// Unix socket, a loopback address, or the name localhost.
func (e Endpoint) Local() bool {
	if e.Path != "" || strings.EqualFold(e.Host, "localhost") {
		return true
	}
	ip := net.ParseIP(e.Host)
	return ip != nil && ip.IsLoopback()
}

// target is what gRPC calls it.
func (e Endpoint) target() string {
	if e.Path == "" {
		return "dns:///" + e.String()
	}
	if filepath.IsAbs(e.Path) {
		return fmt.Sprintf("unix://%s", e.Path)
	}
	return unixPrefix + e.Path
}
