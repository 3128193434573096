package generator_test

import (
	"runtime"
	"testing"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/generator/generatortest"
)

// The contract of all generators, as each strategy promises it.

func mutexFactory() generatortest.Factory {
	return generatortest.Factory{
		New: func(s generatortest.Setup) (generator.Generator, error) {
			return generator.NewMutex(s.Layout, generator.Static(s.Node), s.Options()...)
		},
		Increasing: true, TickOrder: true, WholeTicks: true, BackwardLimit: true, Borrow: true, Fail: true,
	}
}

func atomicFactory() generatortest.Factory {
	f := mutexFactory()
	f.New = func(s generatortest.Setup) (generator.Generator, error) {
		return generator.NewAtomic(s.Layout, generator.Static(s.Node), s.Options()...)
	}
	return f
}

func shardedFactory() generatortest.Factory {
	f := mutexFactory()
	f.New = func(s generatortest.Setup) (generator.Generator, error) {
		return generator.NewSharded(s.Layout, generator.Static(s.Node), s.Options()...)
	}
	f.Increasing = false // within a tick, each P has numbers of its own
	f.WholeTicks = false // another P may sit on some
	return f
}

type strategy struct {
	name string
	generatortest.Factory
}

// strategies are all that the package has.
func strategies() []strategy {
	return []strategy{{"Mutex", mutexFactory()}, {"Atomic", atomicFactory()}, {"Sharded", shardedFactory()}}
}

func TestMutex(t *testing.T) { generatortest.Run(t, mutexFactory()) }

func TestAtomic(t *testing.T) { generatortest.Run(t, atomicFactory()) }

func TestSharded(t *testing.T) { generatortest.Run(t, shardedFactory()) }

// TestShardedOnOneP has no other P to leave numbers with.
func TestShardedOnOneP(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f := shardedFactory()
	f.WholeTicks = true
	generatortest.Run(t, f)
}
