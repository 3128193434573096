package grpcpool_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool/grpcpool"
)

func TestParseEndpoint(t *testing.T) {
	for text, want := range map[string]struct {
		grpcpool.Endpoint
		local bool
	}{
		"pool.example.com":      {grpcpool.Endpoint{Host: "pool.example.com", Port: 50051}, false},
		"pool.example.com:7":    {grpcpool.Endpoint{Host: "pool.example.com", Port: 7}, false},
		"localhost":             {grpcpool.Endpoint{Host: "localhost", Port: 50051}, true},
		"LocalHost:1":           {grpcpool.Endpoint{Host: "LocalHost", Port: 1}, true},
		"127.8.9.1:65535":       {grpcpool.Endpoint{Host: "127.8.9.1", Port: 65535}, true},
		"10.0.0.1":              {grpcpool.Endpoint{Host: "10.0.0.1", Port: 50051}, false},
		"[::1]":                 {grpcpool.Endpoint{Host: "::1", Port: 50051}, true},
		"[2001:db8::1]:9":       {grpcpool.Endpoint{Host: "2001:db8::1", Port: 9}, false},
		"unix:/run/pool.sock":   {grpcpool.Endpoint{Path: "/run/pool.sock"}, true},
		"unix:pool.sock":        {grpcpool.Endpoint{Path: "pool.sock"}, true},
		"unix:/run/../tmp/sock": {grpcpool.Endpoint{Path: "/tmp/sock"}, true},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := grpcpool.ParseEndpoint(text)
			require.NoError(t, err)
			assert.Equal(t, want.Endpoint, got)
			assert.Equal(t, want.local, got.Local())
			again, err := grpcpool.ParseEndpoint(got.String())
			require.NoError(t, err)
			assert.Equal(t, got, again)
		})
	}
	for _, text := range []string{
		"", ":1", "host:", "host:0", "host:65536", "host:-1", "host:http", "::1", "[::1", "[::1]x", "[]", "unix:",
		"http://host", "user@host", "ho st", "host/path", "a,b", "[fe80::1%eth0]",
	} {
		t.Run("bad "+text, func(t *testing.T) {
			_, err := grpcpool.ParseEndpoint(text)
			require.ErrorAs(t, err, new(*layout.FieldError))
		})
	}
}

func TestParseEndpoints(t *testing.T) {
	got, err := grpcpool.ParseEndpoints("a, b:2,unix:/s")
	require.NoError(t, err)
	assert.Equal(t, []grpcpool.Endpoint{{Host: "a", Port: 50051}, {Host: "b", Port: 2}, {Path: "/s"}}, got)
	_, err = grpcpool.ParseEndpoints("a,,b")
	assert.Error(t, err)
}
