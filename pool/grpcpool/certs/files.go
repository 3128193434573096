package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"
)

// Files says where the material is, all of it PEM.
type Files struct {
	// Cert is the certificate, followed by those that lead to the CA, and Key
	// its private key. A client may have neither.
	Cert, Key string
	// CA holds the authorities to trust, one or several. Without it a server
	// asks no client for a certificate, and a client trusts the system's.
	CA string
}

// material is what a set of files held at one time. Nothing of it is changed once
// it is published.
type material struct {
	cert     *tls.Certificate // nil for a client without
	trusted  *x509.CertPool   // nil without a CA
	notAfter time.Time        // when the first certificate of the chain ends
	server   *tls.Config      // for a server
}

// contents is what was read from the files.
type contents struct{ cert, key, ca []byte }

// maxFile bounds what is read of a file.
const maxFile = 1 << 20

// read reads the files. Nothing says that they were written together: load finds
// out what it can, and who watches looks again.
func (f Files) read(groupKey bool) (c contents, err error) {
	if f.Cert != "" {
		if c.cert, err = readFile(f.Cert, nil); err != nil {
			return contents{}, err
		}
		if c.key, err = readFile(f.Key, keyMode(f.Key, groupKey)); err != nil {
			return contents{}, err
		}
	}
	if f.CA != "" {
		if c.ca, err = readFile(f.CA, nil); err != nil {
			return contents{}, err
		}
	}
	return c, nil
}

// readFile reads a file that stands the check. What was opened is checked: the
// name may stand for another file by then.
func readFile(path string, check func(fs.FileMode) error) ([]byte, error) {
	// Before opening: a named pipe would hold us until somebody writes to it.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &FileError{Path: path, Reason: "is not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &FileError{Path: path, Reason: "cannot be opened", Err: cause(err)}
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, &FileError{Path: path, Reason: "cannot be examined", Err: cause(err)}
	}
	if check != nil {
		if err := check(info.Mode().Perm()); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, &FileError{Path: path, Reason: "cannot be read", Err: cause(err)}
	case len(data) > maxFile:
		return nil, &FileError{Path: path, Reason: fmt.Sprintf("is longer than %d bytes; is it the right file?", maxFile)}
	}
	return data, nil
}

// cause returns what is below a path error: the path is named already.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// keyMode checks who else can read, or replace, a private key.
func keyMode(path string, group bool) func(fs.FileMode) error {
	closed := fs.FileMode(0o077)
	if group {
		closed = 0o037
	}
	return func(mode fs.FileMode) error {
		if runtime.GOOS != "windows" && mode&closed != 0 {
			return &KeyModeError{Path: path, Mode: mode, Group: group}
		}
		return nil
	}
}

// load makes material of contents, if they are good now.
func (f Files) load(c contents, now time.Time) (*material, error) {
	m := &material{}
	if f.Cert != "" {
		if err := f.pair(m, c, now); err != nil {
			return nil, err
		}
	}
	if f.CA != "" {
		pool, err := authorities(f.CA, c.ca, now)
		if err != nil {
			return nil, err
		}
		m.trusted = pool
	}
	return m, nil
}

// pair loads the certificate and its key.
func (f Files) pair(m *material, c contents, now time.Time) error {
	chain, err := certificates(f.Cert, c.cert)
	if err != nil {
		return err
	}
	if !strings.Contains(string(c.key), "PRIVATE KEY-----") {
		return &FileError{Path: f.Key, Reason: "holds no private key in PEM"}
	}
	pair, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		// It may be a key that cannot be read, or another certificate's. The text
		// tells, and says nothing of the key.
		return fmt.Errorf("%w (%s, %s: %w)", ErrMismatch, f.Cert, f.Key, err)
	}
	m.notAfter = chain[0].NotAfter
	for _, c := range chain {
		if err := validity(f.Cert, c, now); err != nil {
			return err
		}
		if c.NotAfter.Before(m.notAfter) {
			m.notAfter = c.NotAfter
		}
	}
	m.cert = &pair
	return nil
}

// authorities loads those to trust. One that is over does no harm beside one that
// is valid, as while they are exchanged: it verifies nothing.
func authorities(path string, data []byte, now time.Time) (*x509.CertPool, error) {
	all, err := certificates(path, data)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	var over error
	valid := 0
	for _, c := range all {
		pool.AddCert(c)
		if err := validity(path, c, now); err != nil {
			over = err
		} else {
			valid++
		}
	}
	if valid == 0 {
		return nil, over
	}
	return pool, nil
}

func validity(path string, c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return &ValidityError{Path: path, Subject: c.Subject.String(), NotBefore: c.NotBefore, NotAfter: c.NotAfter, Now: now}
	}
	return nil
}

// certificates returns all certificates of a PEM file, which has at least one. A
// file that ends within a block is refused: it is still being written, and what
// is missing may be an authority.
func certificates(path string, data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	begun := bytes.Count(data, []byte("-----BEGIN "))
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		begun--
		if block.Type != "CERTIFICATE" {
			continue // such as the key, where both are in one file
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &FileError{Path: path, Reason: fmt.Sprintf("certificate %d cannot be read", len(all)+1), Err: err}
		}
		all = append(all, c)
	}
	switch {
	case begun != 0:
		return nil, &FileError{Path: path, Reason: "has a block of PEM that is damaged or not complete"}
	case len(all) == 0:
		return nil, &FileError{Path: path, Reason: "holds no certificate in PEM"}
	}
	return all, nil
}

// sum tells contents apart.
func (c contents) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, part := range [][]byte{c.cert, c.key, c.ca} {
		s := sha256.Sum256(part)
		h.Write(s[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
