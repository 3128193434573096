package pool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// secret is a token none of whose bytes is like another.
var secret = Token{0xd1, 0xd2, 0xd3, 0xd4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf0}

// givesAway returns what a text shows of the secret beyond its first four bytes, in
// hex, decimal, octal or binary, as letters or raw. Two bytes in a row: one alone
// may as well be part of an address or of the time.
func givesAway(text string) []string {
	plain := strings.NewReplacer("0x", "", "0o", "", "0b", "", `\x`, "", ",", "", " ", "", "'", "").Replace(strings.ToLower(text))
	var shown []string
	for i := 4; i+1 < len(secret); i++ {
		for _, verb := range []string{"%02x", "%d", "%o", "%b", "%08b", "%c", "%U"} {
			pair := strings.ToLower(fmt.Sprintf(verb+verb, secret[i], secret[i+1]))
			if strings.Contains(plain, pair) {
				shown = append(shown, pair)
			}
		}
		if raw := string(secret[i : i+2]); strings.Contains(text, raw) {
			shown = append(shown, raw)
		}
	}
	return shown
}

func TestGivesAwayNoticesIt(t *testing.T) {
	raw := [16]byte(secret)
	for _, verb := range []string{"%v", "%d", "%x", "%X", "% x", "%o", "%b", "%U", "%s", "%q", "%#v"} {
		assert.NotEmpty(t, givesAway(fmt.Sprintf(verb, raw)), "an array printed with %s", verb)
	}
	text, err := secret.MarshalText()
	require.NoError(t, err)
	assert.NotEmpty(t, givesAway(string(text)))
}

func TestTokenIsNotPrinted(t *testing.T) {
	things := map[string]any{
		"token":      secret,
		"pointer":    &secret,
		"slice":      []Token{secret},
		"map":        map[Token]int{secret: 1},
		"struct":     struct{ T Token }{secret},
		"grant":      Grant{Namespace: "n", Token: secret},
		"grants":     &Grant{Namespace: "n", Token: secret},
		"renewal":    Renewal{Token: secret, Nonce: secret},
		"release":    Release{Token: secret},
		"node":       Node{Token: secret, Nonce: secret},
		"node info":  (&Node{Token: secret}).info(aNamespace(t), 0),
		"an error":   fmt.Errorf("refused %v, %x: %w", secret, secret, ErrLeaseLost),
		"any in any": []any{secret, Grant{Token: secret}},
	}
	for name, thing := range things {
		for _, flags := range []string{"", "+", "#", " ", "-40"} {
			for _, verb := range "vsqxXdobcUeEfFgGtpT" {
				if verb == 'p' || verb == 'T' {
					continue // of addresses and types
				}
				format := "%" + flags + string(verb)
				assert.Empty(t, givesAway(fmt.Sprintf(format, thing)), "%s with %s", name, format)
			}
		}
		assert.Empty(t, givesAway(fmt.Sprint(thing)), name)
	}
	assert.Equal(t, "d1d2d3d4…", secret.String())
	assert.Equal(t, "d1d2d3d4…", fmt.Sprintf("%x", secret))
	assert.Equal(t, `"d1d2d3d4…"`, fmt.Sprintf("%q", secret))
	assert.Equal(t, "pool.Token(d1d2d3d4…)", fmt.Sprintf("%#v", secret))
}

func TestTokenIsNotLogged(t *testing.T) {
	// The time of day could look like a byte.
	opts := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, opts) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, opts) },
	} {
		var b bytes.Buffer
		log := slog.New(handler(&b))
		log.Info("tokens", "token", secret, "pointer", &secret, "grant", Grant{Token: secret}, "renewal", Renewal{Token: secret, Nonce: secret},
			"release", Release{Token: secret}, slog.Group("group", "token", secret))
		log.With("token", secret, "grant", Grant{Token: secret}).Info("with")
		log.Error("refused", "error", fmt.Errorf("for %v: %w", secret, ErrLeaseLost))
		assert.Empty(t, givesAway(b.String()), "%s: %s", name, b.String())
		assert.Equal(t, 10, strings.Count(b.String(), "d1d2d3d4…"), "%s: %s", name, b.String())
	}
}

func TestTokenText(t *testing.T) {
	text, err := secret.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, "d1d2d3d4e5e6e7e8e9eaebecedeeeff0", string(text))
	var again Token
	require.NoError(t, again.UnmarshalText(text))
	assert.Equal(t, secret, again)
	require.NoError(t, json.Unmarshal([]byte(`"D1D2D3D4E5E6E7E8E9EAEBECEDEEEFF0"`), &again))
	assert.Equal(t, secret, again)
	for _, bad := range []string{"", "d1", string(text[1:]), string(text) + "0", strings.Repeat("g", 32), strings.Repeat("…", 32), " " + string(text[1:])} {
		require.Error(t, again.UnmarshalText([]byte(bad)), "%q", bad)
	}
	assert.True(t, Token{}.IsZero())
	assert.False(t, secret.IsZero())
	assert.False(t, Token{15: 1}.IsZero())
}

func TestTokensDiffer(t *testing.T) {
	seen := make(map[Token]bool)
	heads := make(map[[4]byte]bool)
	for range 1000 {
		token := NewToken()
		require.False(t, token.IsZero())
		require.False(t, seen[token])
		seen[token] = true
		heads[[4]byte(token[:4])] = true
	}
	assert.Greater(t, len(heads), 990, "what is shown tells tokens apart")
}
