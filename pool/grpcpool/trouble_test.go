package grpcpool_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
)

// TestTroubleWithConnections: each kind says what to do, in other words than gRPC's.
func TestTroubleWithConnections(t *testing.T) {
	ca, other := certstest.NewCA(t, "ca"), certstest.NewCA(t, "other")
	pair := ca.Server(t)
	config := &tls.Config{Certificates: []tls.Certificate{pair.TLS(t)}, MinVersion: tls.VersionTLS13}
	wants := config.Clone()
	wants.ClientAuth, wants.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	encrypted := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithTLS(config))
	mutual := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithTLS(wants))
	plain := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)))

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := endpointOf(t, closed)
	require.NoError(t, closed.Close())

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	web := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { assert.ErrorIs(t, web.Serve(l), http.ErrServerClosed) })
	t.Cleanup(func() { assert.NoError(t, web.Close()); serving.Wait() })

	trust := func(ca *certstest.CA, name string) grpcpool.ClientOption {
		return grpcpool.WithClientTLS(func(string) *tls.Config {
			return &tls.Config{RootCAs: ca.Pool(), ServerName: name, MinVersion: tls.VersionTLS13}
		})
	}
	for name, c := range map[string]struct {
		at    grpcpool.Endpoint
		how   []grpcpool.ClientOption
		words string
	}{
		"nobody":            {nobody, nil, "nothing listens there"},
		"TLS is wanted":     {encrypted.Endpoint, nil, "wants TLS"},
		"TLS is not spoken": {plain.Endpoint, []grpcpool.ClientOption{trust(ca, "127.0.0.1")}, "does not speak TLS"},
		"another authority": {encrypted.Endpoint, []grpcpool.ClientOption{trust(other, "127.0.0.1")}, "--tls-ca"},
		"another name":      {encrypted.Endpoint, []grpcpool.ClientOption{trust(ca, "elsewhere")}, "--tls-server-name"},
		"no certificate":    {mutual.Endpoint, []grpcpool.ClientOption{trust(ca, "127.0.0.1")}, "certificate"},
		"something else":    {endpointOf(t, l), nil, "no pool server"},
		"no socket":         {grpcpool.Endpoint{Path: t.TempDir() + "/s"}, nil, "start the server"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, []grpcpool.Endpoint{c.at}, c.how...).Namespaces(t.Context())
			call := new(grpcpool.CallError)
			require.ErrorAs(t, err, &call)
			assert.Equal(t, codes.Unavailable, status.Code(call.Err))
			assert.Contains(t, err.Error(), c.words)
			for _, foreign := range []string{"desc =", "preface", "transport", "dialing"} {
				assert.NotContains(t, err.Error(), foreign)
			}
		})
	}
}

// TestTroubleInOtherWords: what cannot be brought about everywhere, in gRPC's text.
func TestTroubleInOtherWords(t *testing.T) {
	at := grpcpool.Endpoint{Host: "pool.example.com", Port: 50051}
	for text, want := range map[string]string{
		"name resolver error: produced zero addresses":                                                                   "grpcpool: server pool.example.com:50051: that name has no address: check it, and this machine's DNS (produced zero addresses)",
		`connection error: desc = "transport: Error while dialing: dial tcp 192.0.2.1:50051: connect: no route to host"`: "grpcpool: server pool.example.com:50051: it cannot be reached from here: check the address, the network and firewalls (dial tcp 192.0.2.1:50051: connect: no route to host)",
		`connection error: desc = "transport: something \"new\""`:                                                        `grpcpool: server pool.example.com:50051: something "new"`,
		"error reading from server: read tcp: connection reset by peer":                                                  "grpcpool: server pool.example.com:50051: the connection broke off: the server may be starting anew, so try again (read tcp: connection reset by peer)",
		`connection error: desc = "error reading server preface: remote error: tls: certificate required"`:               "grpcpool: server pool.example.com:50051: it wants to see a certificate: show one (--tls-cert, --tls-key) (remote error: tls: certificate required)",
		"the server said: refused": "grpcpool: server pool.example.com:50051: the server said: refused",
	} {
		err := &grpcpool.CallError{Endpoint: at, Err: status.Error(codes.Unavailable, text)}
		assert.EqualError(t, err, want)
	}
}
