package redacted_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/easyflake/easyflake/pool/internal/redacted"
)

// What is shown of a URL has no password in it, also where it was not escaped.
func TestURL(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://u:p@h:1/d":                      "postgres://u@h:1/d",
		"postgres://u@h/d":                          "postgres://u@h/d",
		"postgres://h/d":                            "postgres://h/d",
		"rediss://:p@h:1/0":                         "rediss://h:1/0",
		"postgresql://u:p@h,i:2/d":                  "postgresql://u@h,i:2/d",
		"postgres://u:p/p#p@p@h/d":                  "postgres://u@h/d",
		"postgres://u:p/p?p#p@p@h/d":                "postgres:",
		"postgres://u@h/d?password=p@p":             "postgres:",
		"postgres://u@h/d?password=p&sslpassword=p": "postgres://u@h/d",
		"postgres://u@h/d?password=p&shown=s&x=p#p": "postgres://u@h/d?shown=s",
		"postgres://u@h/d?password=p&not_shown=p":   "postgres://u@h/d",
		"postgres://u@h/d#p?shown=p":                "postgres://u@h/d",
		"host=h password=p":                         "scheme:",
		"u:p@h":                                     "scheme:",
		"secret://u:p@h/d":                          "scheme:",
		"":                                          "scheme:",
	} {
		assert.Equal(t, want, redacted.URL(address, "shown", "scheme", "postgres", "postgresql", "rediss"), address)
	}
	assert.Equal(t, "redis://h", redacted.URL("redis://h?=p", "", "redis"))
}
