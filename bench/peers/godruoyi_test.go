//go:build !(386 || arm || mips || mipsle)

package peers

import (
	"runtime"
	"testing"

	godruoyi "github.com/godruoyi/go-snowflake"
)

// others64 returns the libraries that do not compile where an int has 32 bits.
func others64() []impl {
	return []impl{{"godruoyi", []string{own}, startGodruoyi}}
}

func startGodruoyi(testing.TB, string) ops {
	return ops{
		next: discard(godruoyi.NextID),
		loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last uint64
			for pb.Next() {
				id, err := godruoyi.NextID()
				if err != nil {
					b.Error(err)
					return
				}
				last = id
			}
			runtime.KeepAlive(last)
		},
	}
}
