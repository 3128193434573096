package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash is the SHA-256 of a bearer token's text.
type Hash [sha256.Size]byte

// Token is what the server keeps of a bearer token: whose it is, and its hash.
type Token struct {
	Name string
	Hash Hash
}

const (
	secretPrefix = "easyflake_" // by which those who search for leaked secrets know it
	hashPrefix   = "sha256:"
)

// NewSecret draws a bearer token: the secret is for the client, the hash, as
// "sha256:" and hex, for the server's file.
func NewSecret() (secret, hash string) {
	var raw [32]byte
	// Never fails: crypto/rand ends the program where there is no randomness.
	_, _ = rand.Read(raw[:])
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	return secret, HashOf(secret).String()
}

// HashOf returns the hash of a secret's text.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// String returns "sha256:" and the hash in hex.
func (h Hash) String() string { return hashPrefix + hex.EncodeToString(h[:]) }

// ParseHash reads what [Hash.String] returns. Its errors do not repeat the text,
// which may be a secret by mistake.
func ParseHash(s string) (Hash, error) {
	digits, ok := strings.CutPrefix(s, hashPrefix)
	var h Hash
	if !ok || len(digits) != hex.EncodedLen(len(h)) {
		return Hash{}, fmt.Errorf("access: a token's hash is %q and %d hex digits; keep the secret itself with the client", hashPrefix, hex.EncodedLen(len(h)))
	}
	if _, err := hex.Decode(h[:], []byte(digits)); err != nil {
		return Hash{}, fmt.Errorf("access: a token's hash is %q and %d hex digits, and there is something else among these", hashPrefix, hex.EncodedLen(len(h)))
	}
	return h, nil
}

// TokenError reports a line of a file of tokens that is none.
type TokenError struct {
	File   string
	Line   int
	Reason string
}

// Error names the file and the line. It does not show the line.
func (e *TokenError) Error() string {
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// ParseTokens reads a file of tokens: on each line the name of an identity and the
// hash of one of its tokens, "billing sha256:…". An identity can have several, so
// that they can be exchanged one after the other. Empty lines and those that begin
// with # do not count. It returns as many of the problems as anybody wants to read.
func ParseTokens(data []byte, file string) ([]Token, []*TokenError) {
	var (
		tokens []Token
		wrong  []*TokenError
		number int
	)
	for line := range bytes.Lines(data) {
		number++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		t, reason := parseToken(fields)
		switch {
		case reason == "":
			tokens = append(tokens, t)
		case len(wrong) < maxProblems:
			wrong = append(wrong, &TokenError{File: file, Line: number, Reason: reason})
		}
	}
	return tokens, wrong
}

func parseToken(fields []string) (Token, string) {
	if len(fields) != 2 {
		return Token{}, "must be the name of an identity and the hash of a token"
	}
	if reason := checkName(fields[0]); reason != "" {
		return Token{}, "the identity's name " + reason
	}
	h, err := ParseHash(fields[1])
	if err != nil {
		return Token{}, strings.TrimPrefix(err.Error(), "access: ")
	}
	return Token{Name: fields[0], Hash: h}, ""
}
