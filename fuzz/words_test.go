package fuzz

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// FuzzEndpoint looks for text that is taken for a server's address and cannot be
// written down again, or names no host.
func FuzzEndpoint(f *testing.F) {
	for _, text := range []string{
		"localhost", "localhost:1", "127.0.0.1:65535", "127.0.0.1:65536", "[::1]", "[::1]:80", "::1", "unix:", "unix:/run/a.sock", "unix:a/../b",
		"host:", ":80", "host:00080", "host:+80", "[::1%eth0]:80", "a,b", "a , b:2,unix:/c", "http://host", "[host]", "[]:1", "[[::1]]", "unix:,", "unix:a,unix:b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := grpcpool.ParseEndpoint(text)
		if err != nil {
			var field *layout.FieldError
			if !errors.As(err, &field) || field.Field != "endpoint" || e != (grpcpool.Endpoint{}) {
				t.Fatalf("%q: %+v, %v", text, e, err)
			}
		} else {
			soundEndpoint(t, text, e)
		}
		all, err := grpcpool.ParseEndpoints(text)
		if err != nil {
			if all != nil {
				t.Fatalf("%q: %v, %v", text, all, err)
			}
			return
		}
		if len(all) != strings.Count(text, ",")+1 {
			t.Fatalf("%q: %v", text, all)
		}
		for _, e := range all {
			soundEndpoint(t, text, e)
		}
	})
}

func soundEndpoint(t *testing.T, text string, e grpcpool.Endpoint) {
	t.Helper()
	if (e.Path == "") == (e.Host == "") || (e.Path == "") != (e.Port >= 1 && e.Port <= 65535) {
		t.Fatalf("%q is parsed as %+v", text, e)
	}
	if strings.ContainsAny(e.Host, " /,[]@?#\n") {
		t.Fatalf("%q names the host %q", text, e.Host)
	}
	if e.Host == "unix" {
		return // "unix:50051" is a socket called 50051: a host of that name cannot be written down
	}
	if again, err := grpcpool.ParseEndpoint(e.String()); err != nil || again != e {
		t.Fatalf("%q is parsed as %+v, and that, written as %q, as %+v (%v)", text, e, e.String(), again, err)
	}
}

// FuzzTokenText looks for text that is taken for a token and is not what that
// token writes, and for a message that gives one away.
func FuzzTokenText(f *testing.F) {
	f.Add("0102030405060708090a0b0c0d0e0f10")
	f.Add("0102030405060708090A0B0C0D0E0F10")
	f.Add("")
	f.Add(strings.Repeat("0", 31))
	f.Add(strings.Repeat("x", 32))
	f.Fuzz(func(t *testing.T, text string) {
		var token pool.Token
		err := token.UnmarshalText([]byte(text))
		raw, wrong := hex.DecodeString(text)
		if ok := wrong == nil && len(raw) == len(token); ok != (err == nil) || ok && !bytes.Equal(raw, token[:]) {
			t.Fatalf("%q is read as %x (%v)", text, token[:], err)
		}
		if err != nil {
			return
		}
		if back, err := token.MarshalText(); err != nil || strings.ToLower(text) != string(back) { //nolint:gocritic // lower case exactly
			t.Fatalf("%q is written as %q (%v)", text, back, err)
		}
		if shown := token.String(); len(shown) != len("01234567…") || !strings.HasPrefix(strings.ToLower(text), shown[:8]) {
			t.Fatalf("%q is shown as %q", text, shown)
		}
	})
}

// FuzzTokenFile looks for a file of bearer tokens from which more, or something
// else, is taken than it says; and for a message that shows what may be a secret.
func FuzzTokenFile(f *testing.F) {
	hash := access.HashOf("example").String()
	f.Add([]byte("billing " + hash + "\n# a comment\n\nreports " + hash))
	f.Add([]byte("billing sha256:" + strings.Repeat("f", 64)))
	f.Add([]byte("billing easyflake_secret"))
	f.Add([]byte("a b c\n\x00\xff \u2028"))
	f.Add([]byte("anonymous sha256:" + strings.Repeat("0", 64)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens, wrong := access.ParseTokens(data, "tokens")
		lines := strings.Count(string(data), "\n") + 1
		if len(tokens)+len(wrong) > lines {
			t.Fatalf("%d tokens and %d problems of %d lines", len(tokens), len(wrong), lines)
		}
		for _, w := range wrong {
			if w.Line < 1 || w.Line > lines || w.Reason == "" || w.File != "tokens" {
				t.Fatalf("%+v of %d lines", w, lines)
			}
		}
		for _, token := range tokens {
			again, wrong := access.ParseTokens([]byte(token.Name+" "+token.Hash.String()), "again")
			if len(wrong) > 0 || len(again) != 1 || again[0] != token {
				t.Fatalf("%+v is read again as %+v, %v", token, again, wrong)
			}
			if !strings.Contains(strings.ToLower(string(data)), token.Hash.String()[len("sha256:"):]) {
				t.Fatalf("%v is not in the file", token.Hash)
			}
		}
		if hash, err := access.ParseHash(string(data)); err == nil && !strings.EqualFold(hash.String(), string(data)) {
			t.Fatalf("%q is read as %v", data, hash)
		} else if err != nil && len(data) > 8 && strings.Contains(err.Error(), string(data)) {
			t.Fatalf("the error repeats the text: %v", err)
		}
	})
}

// FuzzNodeNumber looks for an environment variable or a host name whose number is
// taken for a node though it can be read in another way, or does not fit.
func FuzzNodeNumber(f *testing.F) {
	for _, text := range []string{"7", "07", "0", "256", "web-3", "web-3.web.prod.svc", "ip-10-0-0-7", "web-7d4b9c6f5d-24567", "-3", "web-", "web-99999999999999999999", "a-b-007"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := layout.Default()
		check := func(from string, n int64, err error) {
			t.Helper()
			var source *pool.NodeSourceError
			switch {
			case err == nil && (n < 0 || n > l.MaxNode()):
				t.Fatalf("%s %q: %d", from, text, n)
			case err != nil && (n != 0 || !errors.As(err, &source)):
				t.Fatalf("%s %q: %d, %v", from, text, n, err)
			}
		}
		n, err := pool.NodeFromEnv(func(string) (string, bool) { return text, true }, "NODE", l)
		check("variable", n, err)
		if written := layout.ID(n).String(); err == nil && written != text {
			t.Fatalf("%q is read as %s", text, written)
		}
		n, err = pool.NodeFromHostName(text, l)
		check("host name", n, err)
		label, _, _ := strings.Cut(text, ".")
		if err == nil && !strings.HasSuffix(label, "-"+layout.ID(n).String()) {
			t.Fatalf("host name %q is read as %d", text, n)
		}
	})
}
