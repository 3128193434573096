package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/certs"
)

// remoteFlags say how to speak to a pool server.
type remoteFlags struct {
	TLS        bool   `name:"tls" group:"Pool server" help:"Speak TLS on this machine too. Elsewhere it is always spoken, unless --insecure is given."`
	TLSCA      string `name:"tls-ca" group:"Pool server" env:"EASYFLAKE_TLS_CA" placeholder:"FILE" help:"Authorities that the server's certificate may be from, as PEM (the system's)."`
	TLSCert    string `name:"tls-cert" group:"Pool server" env:"EASYFLAKE_TLS_CERT" placeholder:"FILE" help:"Certificate to show to the server, as PEM."`
	TLSKey     string `name:"tls-key" group:"Pool server" env:"EASYFLAKE_TLS_KEY" placeholder:"FILE" help:"Its private key, as PEM."`
	ServerName string `name:"tls-server-name" group:"Pool server" placeholder:"NAME" help:"Name that the server's certificate has to be for (the host's)."`
	SecretFile string `name:"secret-file" group:"Pool server" env:"EASYFLAKE_SECRET_FILE" placeholder:"FILE" help:"File with the secret that says who you are."`
	Insecure   bool   `group:"Pool server" help:"Speak plaintext, whatever the network: anybody on the way can take your nodes."`
}

func (f *remoteFlags) given() string {
	for name, given := range map[string]bool{
		"--tls": f.TLS, "--tls-server-name": f.ServerName != "", "--insecure": f.Insecure,
	} {
		if given {
			return name
		}
	}
	return ""
}

// unused refuses flags that say something about a server where there is none.
// Those that the environment may give are let be.
func (f *remoteFlags) unused() error {
	if name := f.given(); name != "" {
		return wrongf("%s is for pool servers: name one with --pool grpc://HOST", name)
	}
	return nil
}

// client returns a client of the servers of a pool, and the certificates that it goes
// by, if it has any of its own.
func (f *remoteFlags) client(v poolValue) (c *grpcpool.Client, own *certs.Reloader, err error) {
	encrypted := f.TLS || f.TLSCA != "" || f.TLSCert != "" || f.TLSKey != "" || f.ServerName != ""
	var opts []grpcpool.ClientOption
	switch {
	case f.Insecure && encrypted:
		return nil, nil, wrongf("--insecure contradicts the settings for TLS: leave out one of them")
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return nil, nil, wrongf("--tls-cert and --tls-key belong together: give both")
	case f.Insecure:
		opts = append(opts, grpcpool.WithInsecure())
	case encrypted:
		reloader, err := certs.Client(certs.Files{Cert: f.TLSCert, Key: f.TLSKey, CA: f.TLSCA}, f.ServerName)
		if err != nil {
			return nil, nil, plain(err)
		}
		own = reloader
		opts = append(opts, grpcpool.WithClientTLS(func(host string) *tls.Config {
			if f.ServerName != "" {
				host = f.ServerName
			}
			return reloader.TLSConfigFor(host)
		}))
	}
	if f.SecretFile != "" {
		if _, err := readSecret(f.SecretFile); err != nil {
			return nil, nil, err
		}
		// It is read for each request, for it may change while a program runs.
		opts = append(opts, grpcpool.WithSecret(func() (string, error) { return readSecret(f.SecretFile) }))
	}
	client, err := grpcpool.NewClient(v.servers, opts...)
	if err != nil {
		return nil, nil, wrong(err)
	}
	return client, own, nil
}

// readSecret reads a file that holds a secret and, at most, white space around it.
func readSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the secret of --secret-file: %w", err)
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the secret of --secret-file " + path + " must be one word of ASCII characters")
	}
	return secret, nil
}
