package certs

import (
	"crypto/tls"
	"crypto/x509"
)

// clientConfig returns a configuration whose authorities can be replaced, which a
// tls.Config alone cannot: RootCAs is read from whatever copy gRPC has made of it.
// So package tls is told not to verify, and verify does.
func (r *Reloader) clientConfig(serverName string) *tls.Config {
	c := r.base()
	c.ServerName = serverName
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error { return r.verify(serverName, s) }
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if cert := r.current.Load().cert; cert != nil {
			return cert, nil
		}
		return &tls.Certificate{}, nil
	}
	return c
}

// verify does what package tls would have done: a chain from the server's
// certificate to an authority, all valid now and meant for servers, and the name.
func (r *Reloader) verify(serverName string, s tls.ConnectionState) error {
	if serverName == "" {
		// The name sent to the server; empty for an address.
		serverName = s.ServerName
	}
	if serverName == "" {
		return ErrNoName
	}
	options := x509.VerifyOptions{
		Roots:         r.current.Load().trusted,
		DNSName:       serverName,
		CurrentTime:   r.now(),
		Intermediates: x509.NewCertPool(),
	}
	for _, c := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}
