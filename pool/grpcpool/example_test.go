package grpcpool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator" //nolint:depguard // shows what a lease is for
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/certs"
)

// A program that leases its node from a server.
func ExampleNewClient() {
	address, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	l := layout.Default()

	servers, err := grpcpool.ParseEndpoints(address) // several, separated by commas
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := grpcpool.NewClient(servers)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	lease, err := pool.Acquire(ctx, client, "default", l) // renews itself, heals
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Close() // gives the node back

	g, err := generator.NewSharded(l, lease)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	id, err := g.NextContext(ctx) // waits where the lease has ended, as in an outage
	if err != nil {
		fmt.Println(err)
		return
	}
	parts, err := l.Decompose(id)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("made by the node leased:", parts.Node == lease.Node())
	// Output: made by the node leased: true
}

// A client with a certificate, which is read again when its files change, and with a
// secret from a file.
func ExampleNewClient_tls() { //nolint:testableexamples // needs files and servers
	material, err := certs.Client(certs.Files{Cert: "billing.crt", Key: "billing.key", CA: "ca.crt"}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	watching, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	go material.Watch(watching, clock.Default(), time.Minute, func(err error) {
		if err != nil {
			fmt.Println("going on with the old certificates:", err)
		}
	})

	client, err := grpcpool.NewClient(
		[]grpcpool.Endpoint{{Host: "pool-1.example.com", Port: grpcpool.DefaultPort}, {Host: "pool-2.example.com", Port: grpcpool.DefaultPort}},
		grpcpool.WithClientTLS(material.TLSConfigFor),
		grpcpool.WithSecret(func() (string, error) {
			secret, err := os.ReadFile("billing.secret")
			return strings.TrimSpace(string(secret)), err
		}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := pool.Acquire(context.Background(), client, "orders", layout.Default())
	if err != nil {
		fmt.Println(err, client.Close())
		return
	}
	fmt.Println("leased node", lease.Node())
	fmt.Println(lease.Close(), client.Close())
}

// A server of a pool in memory. One that lasts has the store of package boltstore.
func ExampleNewServer() {
	p := pool.New(pool.NewMemory(clock.System{}, true))
	defer p.Close()
	if err := p.EnsureNamespace(context.Background(), pool.NewNamespace("default", layout.Default())); err != nil {
		fmt.Println(err)
		return
	}
	server, err := grpcpool.NewServer(p)
	if err != nil {
		fmt.Println(err)
		return
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	draining, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	server.Shutdown(draining)
	fmt.Println("ended with", <-served)
	// Output: ended with <nil>
}

// exampleServer returns the address of a server, and what ends it.
func exampleServer() (address string, stop func()) {
	p := pool.New(pool.NewMemory(clock.System{}, true))
	if err := p.EnsureNamespace(context.Background(), pool.NewNamespace("default", layout.Default())); err != nil {
		panic(err)
	}
	server, err := grpcpool.NewServer(p)
	if err != nil {
		panic(err)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return listener.Addr().String(), func() {
		server.Shutdown(context.Background())
		if err := errors.Join(<-served, p.Close()); err != nil {
			panic(err)
		}
	}
}
