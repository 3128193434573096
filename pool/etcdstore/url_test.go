package etcdstore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]URL{
		"etcd://a":                         {Endpoints: []string{"a"}, Prefix: "easyflake/"},
		"etcd://a/":                        {Endpoints: []string{"a"}, Prefix: "easyflake/"},
		"etcd://a:1,b:2,[::1]:3,[::2]/x":   {Endpoints: []string{"a:1", "b:2", "[::1]:3", "[::2]"}, Prefix: "x/"},
		"etcd://a/x/y/":                    {Endpoints: []string{"a"}, Prefix: "x/y/"},
		"etcd://a//x":                      {Endpoints: []string{"a"}, Prefix: "/x/"},
		"etcd://a///":                      {Endpoints: []string{"a"}, Prefix: "//"},
		"etcd://a/x//":                     {Endpoints: []string{"a"}, Prefix: "x//"},
		"etcd://a/%40x":                    {Endpoints: []string{"a"}, Prefix: "@x/"},
		"etcds://a":                        {Endpoints: []string{"a"}, Prefix: "easyflake/", TLS: true},
		"etcd://a?tls=true":                {Endpoints: []string{"a"}, Prefix: "easyflake/", TLS: true},
		"etcd://u:p%40%2F%3A:x@a/x":        {Endpoints: []string{"a"}, Prefix: "x/", User: "u", Password: "p@/::x"},
		"etcd://u@a?password-file=%2Ff":    {Endpoints: []string{"a"}, Prefix: "easyflake/", User: "u", PasswordFile: "/f"},
		"etcd://a?ca=c&cert=d&key=e%20f":   {Endpoints: []string{"a"}, Prefix: "easyflake/", TLS: true, CA: "c", Cert: "d", Key: "e f"},
		"etcd://a/x%20y?server-name=other": {Endpoints: []string{"a"}, Prefix: "x y/", TLS: true, ServerName: "other"},
	} {
		got, err := ParseURL(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		again, err := ParseURL(got.String())
		require.NoError(t, err, got.String())
		if want.Password != "" {
			again.Password = want.Password
		}
		assert.Equal(t, want, again, got.String())
	}
}

func TestBadURL(t *testing.T) {
	for text, reason := range map[string]string{
		"":                                  "must be etcd://",
		"http://a":                          "must be etcd://",
		"a:2379":                            "must be etcd://",
		"etcd://":                           "must name a host",
		"etcd:///x":                         "must name a host",
		"etcd://a,":                         "must name a host",
		"etcd://a:0":                        "a port from 1 to 65535",
		"etcd://a:x":                        "a port from 1 to 65535",
		"etcd://a:1:2":                      "an IPv6 address in brackets",
		"etcd://a#x":                        "must not have a fragment",
		"etcd://u:se%zzcret@a":              "write % itself as %25",
		"etcd://:secret@a":                  "must have a user",
		"etcd://u@a":                        "a password or a password-file for its user",
		"etcd://u:secret/x@a":               "/ is written %2F",
		"etcd://u:secret?x@a":               "? %3F",
		"etcd://u:secret@a/x%zz":            "its prefix has a %",
		"etcd://u:secret@a?password":        "must have a value",
		"etcd://u:secret@a?ca=":             "must have a value",
		"etcd://u:secret@a?ca=a&ca=b":       "must be given once",
		"etcd://u:secret@a?Ca=a":            "is none of tls, ca,",
		"etcd://u:secret@a?tls=false":       "can only be true",
		"etcd://u:secret@a?cert=a":          "must have cert and key",
		"etcd://u:secret@a?key=a":           "must have cert and key",
		"etcd://u:secret@http://a":          "",
		"etcd://u:secret@a?password-file=x": "not both",
	} {
		u, err := ParseURL(text)
		var field *layout.FieldError
		require.ErrorAs(t, err, &field, text)
		require.ErrorContains(t, err, reason, text)
		assert.NotContains(t, err.Error(), "secret", text)
		assert.NotContains(t, err.Error(), "cret@", text)
		for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
			assert.NotContains(t, fmt.Sprintf(form, u), "secret")
		}
	}
}

func TestURLFiles(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(junk, []byte("junk"), 0o600))
	for text, reason := range map[string]string{
		"etcd://a?ca=" + dir + "/none":              "reading the certificate authority",
		"etcd://a?ca=" + junk:                       "must hold a certificate in PEM",
		"etcd://a?cert=" + junk + "&key=" + junk:    "reading the certificate",
		"etcd://u@a?password-file=" + dir + "/none": "reading the password",
	} {
		_, err := OpenURL(t.Context(), text)
		require.ErrorContains(t, err, reason)
	}
}
