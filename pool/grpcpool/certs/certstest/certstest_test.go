package certstest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCertificatesVerify(t *testing.T) {
	ca := NewCA(t, "one")
	server, client := ca.Server(t), ca.Client(t, "billing", URI("spiffe://example.org/billing"))

	verify := func(p *Pair, ca *CA, name string, use x509.ExtKeyUsage) error {
		_, err := p.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: name, KeyUsages: []x509.ExtKeyUsage{use}})
		return err
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		require.NoError(t, verify(server, ca, name, x509.ExtKeyUsageServerAuth))
	}
	require.NoError(t, verify(client, ca, "", x509.ExtKeyUsageClientAuth))
	assert.Equal(t, "billing", client.Leaf.Subject.CommonName)
	assert.Equal(t, "spiffe://example.org/billing", client.Leaf.URIs[0].String())

	require.Error(t, verify(client, ca, "", x509.ExtKeyUsageServerAuth))
	require.Error(t, verify(server, NewCA(t, "one"), "localhost", x509.ExtKeyUsageServerAuth), "another authority of the same name")
	require.Error(t, verify(ca.Server(t, Expired()), ca, "localhost", x509.ExtKeyUsageServerAuth))
	require.Error(t, verify(ca.Server(t, NotYet()), ca, "localhost", x509.ExtKeyUsageServerAuth))
}

func TestWrite(t *testing.T) {
	ca := NewCA(t, "one")
	paths := Write(t, t.TempDir(), ca.Server(t), ca, NewCA(t, "two"))

	_, err := tls.LoadX509KeyPair(paths.Cert, paths.Key)
	require.NoError(t, err)
	trusted, err := os.ReadFile(paths.CA)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(trusted))
	assert.Contains(t, string(trusted), string(ca.Cert))
}
