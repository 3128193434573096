package redisstore

import (
	"strings"
	"testing"
)

// FuzzRecord looks for a record that is accepted and would be written as another one.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{
		"", " ", "0000000000000001 ", "0000000000000000 x", "00000000000000ff x y", "00000000000000FF x", "000000000000001 x", "00000000000000001 x",
		"-000000000000001 x", "000000000000000g x", "ffffffffffffffff \x00\n", "0000000000000001\tx", "8000000000000000 x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRecord(text)
		if err == nil {
			again := string(appendHex(nil, r.Revision)) + " " + string(r.Value)
			if r.Revision == 0 || !strings.EqualFold(again[:16], text[:16]) || again[16:] != text[16:] {
				t.Fatalf("%q is read as %+v", text, r)
			}
		}
		if node, err := parseField(text); err == nil && !strings.EqualFold(field(node), text) {
			t.Fatalf("%q is read as node %d", text, node)
		}
	})
}
