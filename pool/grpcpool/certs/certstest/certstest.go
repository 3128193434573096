// Package certstest makes certificate authorities and certificates for tests:
// good ones by default, and whatever an [Option] makes of them.
package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a certificate and its private key, ECDSA on P-256.
type Pair struct {
	Leaf *x509.Certificate
	// Cert and Key are PEM.
	Cert, Key []byte

	key *ecdsa.PrivateKey
}

// CA is a certificate authority.
type CA struct{ Pair }

// Option changes a certificate before it is signed.
type Option func(*x509.Certificate)

// DNS adds names to the certificate.
func DNS(names ...string) Option {
	return func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, names...) }
}

// IP adds addresses to the certificate.
func IP(addresses ...string) Option {
	return func(c *x509.Certificate) {
		for _, a := range addresses {
			c.IPAddresses = append(c.IPAddresses, net.ParseIP(a))
		}
	}
}

// URI adds URIs to the certificate, such as spiffe://example.org/billing. What is
// no URI is left out.
func URI(uris ...string) Option {
	return func(c *x509.Certificate) {
		for _, s := range uris {
			if u, err := url.Parse(s); err == nil {
				c.URIs = append(c.URIs, u)
			}
		}
	}
}

// CommonName replaces the subject's common name; an empty one leaves it out.
func CommonName(name string) Option {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

// Valid says from when to when the certificate is valid.
func Valid(from, until time.Time) Option {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
}

// Expired makes the certificate one that was valid until an hour ago.
func Expired() Option {
	now := time.Now()
	return Valid(now.Add(-48*time.Hour), now.Add(-time.Hour))
}

// NotYet makes the certificate one that is valid from tomorrow on.
func NotYet() Option {
	now := time.Now()
	return Valid(now.Add(24*time.Hour), now.Add(48*time.Hour))
}

// NewCA returns an authority of its own, valid from an hour ago for a day.
func NewCA(tb testing.TB, name string, options ...Option) *CA {
	tb.Helper()
	c := template(name, options)
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return &CA{*sign(tb, c, nil)}
}

// Server returns a server's certificate for localhost, 127.0.0.1 and ::1.
func (ca *CA) Server(tb testing.TB, options ...Option) *Pair {
	tb.Helper()
	local := []Option{DNS("localhost"), IP("127.0.0.1", "::1")}
	return ca.issue(tb, "server", x509.ExtKeyUsageServerAuth, append(local, options...))
}

// Client returns a client's certificate with this common name.
func (ca *CA) Client(tb testing.TB, name string, options ...Option) *Pair {
	tb.Helper()
	return ca.issue(tb, name, x509.ExtKeyUsageClientAuth, options)
}

// Pool returns a pool that trusts the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	return pool
}

// TLS returns the pair as package tls takes it.
func (p *Pair) TLS(tb testing.TB) tls.Certificate {
	tb.Helper()
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	check(tb, err)
	return c
}

// Paths is where files were written. It converts to certs.Files, and to no more
// than that, so that the tests of package certs can use this one.
type Paths struct{ Cert, Key, CA string }

// In returns the paths DIR/tls.crt, DIR/tls.key and DIR/ca.crt.
func In(dir string) Paths {
	return Paths{
		Cert: filepath.Join(dir, "tls.crt"),
		Key:  filepath.Join(dir, "tls.key"),
		CA:   filepath.Join(dir, "ca.crt"),
	}
}

// Write writes a pair and the authorities to trust, as [In] names the files. The
// key is its owner's alone to read. Files that are there are replaced as editors
// do it, by renaming. A nil pair or no authority leaves its files alone.
func Write(tb testing.TB, dir string, p *Pair, trusted ...*CA) Paths {
	tb.Helper()
	paths := In(dir)
	if p != nil {
		Replace(tb, paths.Key, p.Key)
		Replace(tb, paths.Cert, p.Cert)
	}
	if len(trusted) > 0 {
		var all []byte
		for _, ca := range trusted {
			all = append(all, ca.Cert...)
		}
		Replace(tb, paths.CA, all)
	}
	return paths
}

// Replace writes a file that its owner alone can read, and renames it to path.
func Replace(tb testing.TB, path string, data []byte) {
	tb.Helper()
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	check(tb, err)
	_, err = f.Write(data)
	check(tb, err)
	check(tb, f.Close())
	check(tb, os.Rename(f.Name(), path))
}

func (ca *CA) issue(tb testing.TB, name string, usage x509.ExtKeyUsage, options []Option) *Pair {
	tb.Helper()
	c := template(name, options)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	return sign(tb, c, ca)
}

func template(name string, options []Option) *x509.Certificate {
	now := time.Now()
	c := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(24 * time.Hour),
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// sign signs a certificate with the authority's key; with its own for none.
func sign(tb testing.TB, c *x509.Certificate, ca *CA) *Pair {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(tb, err)
	c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check(tb, err)
	parent, signer := c, key
	if ca != nil {
		parent, signer = ca.Leaf, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	check(tb, err)
	leaf, err := x509.ParseCertificate(der)
	check(tb, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(tb, err)
	return &Pair{
		Leaf: leaf,
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		key:  key,
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
