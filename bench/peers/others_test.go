package peers

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	bwmarrin "github.com/bwmarrin/snowflake"
	gofrs "github.com/gofrs/uuid/v5"
	google "github.com/google/uuid"
	"github.com/muyo/sno"
	"github.com/oklog/ulid/v2"
	"github.com/rs/xid"
	"github.com/segmentio/ksuid"
	"github.com/sony/sonyflake/v2"
	"github.com/stretchr/testify/require"
)

// others returns the libraries of others, each as its documentation says to use it,
// and google/uuid also with the pool of random bytes that it has to be told to use.
func others() []impl {
	return append(others64(), []impl{
		{"bwmarrin", []string{own, wide}, startBwmarrin},
		{"sonyflake2", []string{own, wide}, startSonyflake},
		{"sno", []string{own}, startSno},
		{"xid", []string{none}, startXID},
		{"ulid", []string{none}, startULID},
		{"uuid-google-v4", []string{none}, startGoogleV4},
		{"uuid-google-v4-pool", []string{none}, pooled(startGoogleV4)},
		{"uuid-google-v7", []string{none}, startGoogleV7},
		{"uuid-google-v7-pool", []string{none}, pooled(startGoogleV7)},
		{"uuid-gofrs-v7", []string{none}, startGofrsV7},
		{"ksuid", []string{none}, startKSUID},
	}...)
}

// sequenceBits returns the bits of the layout "sequence=N", or those of own and
// wide as given.
func sequenceBits(tb testing.TB, layout string, ofOwn, ofWide int) int {
	tb.Helper()
	if !strings.HasPrefix(layout, "sequence=") {
		if layout == wide {
			return ofWide
		}
		return ofOwn
	}
	var bits int
	_, err := fmt.Sscanf(layout, "sequence=%d", &bits)
	require.NoError(tb, err)
	return bits
}

// startBwmarrin widens the step to 21 of the 22 bits that it shares with the node.
// The widths are package variables, which NewNode copies.
func startBwmarrin(tb testing.TB, layout string) ops {
	tb.Helper()
	nodeBits, stepBits := bwmarrin.NodeBits, bwmarrin.StepBits
	defer func() { bwmarrin.NodeBits, bwmarrin.StepBits = nodeBits, stepBits }()
	bwmarrin.StepBits = uint8(sequenceBits(tb, layout, 12, 21))
	bwmarrin.NodeBits = 22 - bwmarrin.StepBits
	node, err := bwmarrin.NewNode(1)
	require.NoError(tb, err)
	return ops{
		next: func() error {
			runtime.KeepAlive(node.Generate())
			return nil
		},
		loop: func(_ *testing.B, pb *testing.PB) {
			var last bwmarrin.ID
			for pb.Next() {
				last = node.Generate()
			}
			runtime.KeepAlive(last)
		},
	}
}

// startSonyflake widens the sequence to 20 bits in ticks of 1 ms, the shortest that
// it takes.
func startSonyflake(tb testing.TB, layout string) ops {
	tb.Helper()
	settings := sonyflake.Settings{MachineID: func() (int, error) { return 1, nil }}
	if layout != own {
		settings.BitsSequence = sequenceBits(tb, layout, 8, 20)
		settings.BitsMachineID = 1
		settings.TimeUnit = time.Millisecond
		settings.StartTime = time.Now().Add(-time.Hour)
	}
	g, err := sonyflake.New(settings)
	require.NoError(tb, err)
	return ops{
		next: discard(g.NextID),
		loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last int64
			for pb.Next() {
				id, err := g.NextID()
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

// startSno has all 65,536 numbers of its tick of 4 ms, the most there are.
func startSno(tb testing.TB, _ string) ops {
	tb.Helper()
	g, err := sno.NewGenerator(&sno.GeneratorSnapshot{Partition: sno.Partition{0, 1}}, nil)
	require.NoError(tb, err)
	return ops{
		next: func() error {
			runtime.KeepAlive(g.New(0))
			return nil
		},
		loop: func(_ *testing.B, pb *testing.PB) {
			var last sno.ID
			for pb.Next() {
				last = g.New(0)
			}
			runtime.KeepAlive(last)
		},
	}
}

func startXID(testing.TB, string) ops {
	return ops{
		next: func() error {
			runtime.KeepAlive(xid.New())
			return nil
		},
		loop: func(_ *testing.B, pb *testing.PB) {
			var last xid.ID
			for pb.Next() {
				last = xid.New()
			}
			runtime.KeepAlive(last)
		},
	}
}

// startULID uses the default entropy, which is monotonic within a millisecond.
func startULID(testing.TB, string) ops {
	return ops{
		next: func() error {
			runtime.KeepAlive(ulid.Make())
			return nil
		},
		loop: func(_ *testing.B, pb *testing.PB) {
			var last ulid.ULID
			for pb.Next() {
				last = ulid.Make()
			}
			runtime.KeepAlive(last)
		},
	}
}

// pooled has google/uuid read its random bytes from a pool, behind a lock, for as long
// as the benchmark runs. The switch is a package variable.
func pooled(start func(testing.TB, string) ops) func(testing.TB, string) ops {
	return func(tb testing.TB, layout string) ops {
		tb.Helper()
		google.EnableRandPool()
		tb.Cleanup(google.DisableRandPool)
		return start(tb, layout)
	}
}

func startGoogleV4(testing.TB, string) ops {
	return ops{
		next: discard(google.NewRandom),
		loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last google.UUID
			for pb.Next() {
				id, err := google.NewRandom()
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

func startGoogleV7(testing.TB, string) ops {
	return ops{
		next: discard(google.NewV7),
		loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last google.UUID
			for pb.Next() {
				id, err := google.NewV7()
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

func startGofrsV7(testing.TB, string) ops {
	return ops{
		next: discard(gofrs.NewV7),
		loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last gofrs.UUID
			for pb.Next() {
				id, err := gofrs.NewV7()
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

func startKSUID(testing.TB, string) ops {
	return ops{
		next: discard(ksuid.NewRandom),
		loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last ksuid.KSUID
			for pb.Next() {
				id, err := ksuid.NewRandom()
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
