package main

import (
	"strings"
	"testing"
)

// FuzzRedisURL looks for a URL of a Redis that shows its password, or is taken for one
// that names no scheme of Redis.
func FuzzRedisURL(f *testing.F) {
	const secret = "qZ7secretQz" // a part of the password
	for _, p := range []struct{ user, left, right, rest string }{
		{"u", "", "", "host"},
		{"", "p/", "", "host:1/2"},
		{"u", "", "/p", "host?db=1"},
		{"u", "?", "#", "host"},
		{"u", "#", "?", "host"},
		{"u", "@", "@", "[::1]:2/3"},
		{"u", "p@host/", "", "host"},
		{"u", "%zz", "%", "host/x"},
		{"u:v", "://", ":", "host:port"},
		{"u", "[", "]", "[host"},
		{"u", " ", "\n", "host?protocol=x&client_name=y"},
	} {
		f.Add("redis", p.user, p.left, p.right, p.rest)
	}
	f.Add("rediss", "u", "", "", "host?skip_verify=true")
	f.Add("unix", "u", "", "", "/run/redis.sock?db=1")
	f.Add("redis+cluster", "u", "", "", "host:1?addr=host:2&pool_size=9")
	f.Add("rediss+cluster", "u", "/", "?", "[::1]/0")
	f.Add("redis+sentinel", "u", "", "", "host/1?master_name=m&username=u")
	f.Add("rediss+sentinel", "", "?", "&", "host?addr=h:1&master_name=m")
	f.Add("redis+", "u", "+", "", "host")
	e := redisEngine()
	f.Fuzz(func(t *testing.T, scheme, user, left, right, rest string) {
		if strings.Contains(scheme+user+left+right+rest, secret) || strings.Contains(scheme, "@") {
			return
		}
		for _, address := range []string{
			scheme + "://" + user + ":" + left + secret + right + "@" + rest,
			scheme + ":" + user + ":" + left + secret + right + "@" + rest,
			scheme + "://" + user + "@" + rest + "?password=" + secret + "&" + left,
		} {
			if shown := e.redacted(address); strings.Contains(shown, secret) {
				t.Fatalf("%q is shown as %q", address, shown)
			}
			if err := e.valid(address); err != nil && strings.Contains(err.Error(), secret) {
				t.Fatalf("%q: %v", address, err)
			}
		}
	})
}
