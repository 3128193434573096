package etcdstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/easyflake/easyflake/layout"
)

// URL says in one line where an etcd is, and what this is known by to it:
//
//	etcd://USER:PASSWORD@HOST:PORT,HOST:PORT/PREFIX?ca=FILE
//
// PORT is 2379 where it is left out, PREFIX is [DefaultPrefix]; a slash is added to
// it. With etcds:// in place of etcd://, or any of the following, the connection is
// encrypted:
//
//	tls=true           by the certificate authorities that the system trusts
//	ca=FILE            by this one, in PEM
//	cert=FILE&key=FILE with a certificate that shows who this is
//	server-name=NAME   where etcd's certificate has another name than HOST
//
// What is special in a URL is escaped as in every URL: a password of a/b is a%2Fb.
// A password that shall not be seen in a list of processes is read from a file:
//
//	password-file=FILE
type URL struct {
	Endpoints    []string
	Prefix       string
	User         string
	Password     string
	PasswordFile string
	TLS          bool
	CA           string
	Cert         string
	Key          string
	ServerName   string
}

// ParseURL reads a URL. It opens none of the files. Its errors are of the kind
// [*layout.FieldError].
func ParseURL(text string) (URL, error) {
	bad := func(value any, reason string) (URL, error) {
		return URL{}, &layout.FieldError{Field: "etcd URL", Value: value, Reason: reason}
	}
	u := URL{Prefix: DefaultPrefix}
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok || scheme != "etcd" && scheme != "etcds":
		return bad("(hidden)", "must be etcd://HOST:PORT/PREFIX or etcds://…")
	case strings.Contains(rest, "#"):
		return bad("#", "must not have a fragment; a # in a name or password is written %23")
	}
	u.TLS = scheme == "etcds"
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Contains(path+query, "@") { // most likely a password, which must not be shown
		return bad("(hidden)", "must have its @ before HOST only: in a user or password, / is written %2F and ? %3F; elsewhere, @ is written %40")
	}
	// By hand: net/url refuses several hosts, and its errors repeat all of the text.
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
		var err, bother error
		u.User, err = url.PathUnescape(user)
		u.Password, bother = url.PathUnescape(password)
		if err != nil || bother != nil {
			return bad("(hidden)", "its user or password has a % that begins no escape: write % itself as %25")
		}
	}
	for endpoint := range strings.SplitSeq(authority, ",") {
		if _, _, err := splitEndpoint(endpoint); err != nil {
			return URL{}, err
		}
		u.Endpoints = append(u.Endpoints, endpoint)
	}
	prefix, err := url.PathUnescape(path)
	if err != nil {
		return bad(path, "its prefix has a % that begins no escape: write % itself as %25")
	}
	if prefix = strings.TrimSuffix(prefix, "/"); prefix != "" {
		u.Prefix = prefix + "/"
	}
	if err := u.parameters(query); err != nil {
		return URL{}, err
	}
	if err := u.check(); err != nil {
		return URL{}, err
	}
	return u, nil
}

func (u *URL) parameters(query string) error {
	bad := func(name, reason string) error {
		return &layout.FieldError{Field: "etcd URL parameter", Value: name, Reason: reason}
	}
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, text, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(text)
		if err != nil || value == "" {
			return bad(name, "must have a value, escaped as in every URL")
		}
		if seen[name] {
			return bad(name, "must be given once")
		}
		seen[name] = true
		files := map[string]*string{"ca": &u.CA, "cert": &u.Cert, "key": &u.Key, "server-name": &u.ServerName, "password-file": &u.PasswordFile}
		switch to := files[name]; {
		case to != nil:
			*to = value
			u.TLS = u.TLS || name != "password-file"
		case name == "tls" && value == "true":
			u.TLS = true
		case name == "tls":
			return bad(name, "can only be true; leave it out to go without")
		default:
			return bad(name, "is none of tls, ca, cert, key, server-name, password-file")
		}
	}
	return nil
}

func (u *URL) check() error {
	var reason string
	switch {
	case (u.Cert == "") != (u.Key == ""):
		reason = "must have cert and key, or neither"
	case u.Password != "" && u.PasswordFile != "":
		reason = "must have a password or a password-file, not both"
	case u.User == "" && (u.Password != "" || u.PasswordFile != ""):
		reason = "must have a user where it has a password: etcd://USER:PASSWORD@HOST"
	case u.User != "" && u.Password == "" && u.PasswordFile == "":
		reason = "must have a password or a password-file for its user"
	default:
		return nil
	}
	return &layout.FieldError{Field: "etcd URL", Value: u.String(), Reason: reason}
}

// String returns the URL without its password, for messages.
func (u URL) String() string {
	scheme, user := "etcd", ""
	if u.TLS {
		scheme = "etcds"
	}
	if u.User != "" || u.Password != "" {
		user = url.PathEscape(u.User) + "@"
		if u.Password != "" {
			user = url.PathEscape(u.User) + ":xxxxx@"
		}
	}
	prefix := strings.TrimSuffix(u.Prefix, "/")
	if strings.HasSuffix(prefix, "/") { // of which one would be taken off again
		prefix = u.Prefix
	}
	prefix = strings.ReplaceAll((&url.URL{Path: prefix}).EscapedPath(), "@", "%40")
	var parameters []string
	for _, p := range [][2]string{{"ca", u.CA}, {"cert", u.Cert}, {"key", u.Key}, {"server-name", u.ServerName}, {"password-file", u.PasswordFile}} {
		if p[1] != "" {
			parameters = append(parameters, p[0]+"="+url.QueryEscape(p[1]))
		}
	}
	s := scheme + "://" + user + strings.Join(u.Endpoints, ",") + "/" + prefix
	if len(parameters) > 0 {
		s += "?" + strings.Join(parameters, "&")
	}
	return s
}

// GoString keeps %#v from showing the password.
func (u URL) GoString() string { return u.String() }

// OpenURL opens the store at a [URL]. Options come on top of what it says.
func OpenURL(ctx context.Context, text string, opts ...Option) (*Store, error) {
	u, err := ParseURL(text)
	if err != nil {
		return nil, err
	}
	return u.Open(ctx, opts...)
}

// Open reads the files that the URL names, and opens the store.
func (u URL) Open(ctx context.Context, opts ...Option) (*Store, error) {
	own := []Option{WithPrefix(u.Prefix)}
	if u.PasswordFile != "" {
		data, err := os.ReadFile(u.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("etcdstore: reading the password: %w", err)
		}
		u.Password = strings.TrimRight(string(data), "\r\n")
	}
	if u.User != "" {
		own = append(own, WithUser(u.User, u.Password))
	}
	if u.TLS {
		c, err := u.config()
		if err != nil {
			return nil, err
		}
		own = append(own, WithTLS(c))
	}
	return Open(ctx, u.Endpoints, append(own, opts...)...)
}

func (u URL) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.ServerName}
	if u.CA != "" {
		pem, err := os.ReadFile(u.CA)
		if err != nil {
			return nil, fmt.Errorf("etcdstore: reading the certificate authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &layout.FieldError{Field: "etcd certificate authority", Value: u.CA, Reason: "must hold a certificate in PEM"}
		}
	}
	if u.Cert != "" {
		pair, err := tls.LoadX509KeyPair(u.Cert, u.Key)
		if err != nil {
			return nil, fmt.Errorf("etcdstore: reading the certificate %s and its key %s: %w", u.Cert, u.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
