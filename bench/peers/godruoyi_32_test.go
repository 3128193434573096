//go:build 386 || arm || mips || mipsle

package peers

func others64() []impl { return nil }
