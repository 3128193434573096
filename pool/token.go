package pool

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// Token is what proves to a pool that a lease is one's own: 128 random bits,
// drawn by the client before it asks for a node. The request to acquire carries
// it, so that a repeated request finds what the first one was granted; the lease
// is then known by it. Whoever has it can renew or release the lease: keep it out
// of logs.
type Token [16]byte

// NewToken draws a token from the operating system's random source.
func NewToken() Token {
	var t Token
	// Never fails: crypto/rand ends the program where there is no randomness.
	_, _ = rand.Read(t[:])
	return t
}

// IsZero reports whether t is the zero Token, which stands for nobody.
func (t Token) IsZero() bool { return t == Token{} }

// String returns the first 32 bits in hex, enough to tell tokens apart in logs
// and too little to use one.
func (t Token) String() string { return hex.EncodeToString(t[:4]) + "…" }

// GoString is String: %#v must not give a token away either.
func (t Token) GoString() string { return "pool.Token(" + t.String() + ")" }

// Format prints what String does, whatever the verb: %d or %b of an array would
// print all of it.
func (t Token) Format(f fmt.State, verb rune) {
	s := t.String()
	switch {
	case verb == 'q':
		s = strconv.Quote(s)
	case verb == 'v' && f.Flag('#'):
		s = t.GoString()
	}
	_, _ = io.WriteString(f, s)
}

// LogValue is String: a handler of package slog would take the text, which is all
// of the token.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns all of the token, in hex: for records and requests only.
func (t Token) MarshalText() ([]byte, error) {
	return hex.AppendEncode(nil, t[:]), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *Token) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(t)) {
		return fmt.Errorf("pool: a token has %d hex digits, not %d", hex.EncodedLen(len(t)), len(text))
	}
	if _, err := hex.Decode(t[:], text); err != nil {
		return fmt.Errorf("pool: token: %w", err)
	}
	return nil
}
