package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

// A Redis behind TLS is taken for what its certificate says, by the authorities that
// the system trusts.
func TestRedisTLS(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	files := certstest.Write(t, t.TempDir(), ca.Server(t, func(c *x509.Certificate) { c.IPAddresses = nil }), ca)
	foreign := certstest.Write(t, t.TempDir(), nil, certstest.NewCA(t, "foreign"))
	port := strconv.Itoa(redistest.FreePort(t))
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", files.Cert, "--tls-key-file", files.Key, "--tls-ca-cert-file", files.CA, "--tls-auth-clients", "no")
	says := func(trusted, address string) (string, error) {
		program, err := filepath.Abs(os.Args[0])
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), program, "namespace", "create", "orders", "--pool", address)
		cmd.Env = append(os.Environ(), asProgram+"=1", "SSL_CERT_FILE="+trusted, "SSL_CERT_DIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for what, c := range map[string]struct{ trusted, url string }{
		"another authority":  {foreign.CA, "rediss://localhost:" + port},
		"another name":       {files.CA, "rediss://127.0.0.1:" + port},
		"without encryption": {files.CA, "redis://localhost:" + port},
	} {
		out, err := says(c.trusted, c.url)
		require.Error(t, err, what)
		assert.Contains(t, out, "cannot be reached", what)
	}
	out, err := says(files.CA, "rediss://localhost:"+port)
	require.NoError(t, err, "%s", out)
	assert.Contains(t, out, "created namespace orders in rediss://localhost:"+port)
}
