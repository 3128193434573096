package bench

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// sample is an ID of the default layout from 2026, as most will be.
const sample layout.ID = 7_834_921_106_538_241

// BenchmarkEncode appends an ID in each encoding to a buffer.
func BenchmarkEncode(b *testing.B) {
	for _, enc := range layout.Encodings() {
		b.Run("enc="+enc.String(), func(b *testing.B) {
			buf := make([]byte, 0, 32)
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = enc.Append(buf[:0], sample); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse reads an ID in each encoding.
func BenchmarkParse(b *testing.B) {
	for _, enc := range layout.Encodings() {
		b.Run("enc="+enc.String(), func(b *testing.B) {
			text, err := enc.Encode(sample)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := enc.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCompose builds an ID from its fields.
func BenchmarkCompose(b *testing.B) {
	for _, p := range []string{"easyflake", "sonyflake"} {
		b.Run("layout="+p, func(b *testing.B) {
			l := parseLayout(b, p)
			b.ReportAllocs()
			tick := int64(0)
			for b.Loop() {
				tick++
				if _, err := l.Compose(tick, 7, 5); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecompose takes an ID apart, its time included.
func BenchmarkDecompose(b *testing.B) {
	for _, p := range []string{"easyflake", "sonyflake"} {
		b.Run("layout="+p, func(b *testing.B) {
			l := parseLayout(b, p)
			b.ReportAllocs()
			id := sample
			for b.Loop() {
				id++
				if _, err := l.Decompose(id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
