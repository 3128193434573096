// Command server is an etcd for tests. It ends with its standard input, so that none
// outlives the test that started it.
//
// It is a module of its own because go install refuses to build the one of the etcd
// project, for the replace directives there.
package main

import (
	"io"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // nobody is left who could stop it
	}()
	etcdmain.Main(os.Args)
}
