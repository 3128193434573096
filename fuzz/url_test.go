package fuzz

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool/etcdstore"
	"github.com/easyflake/easyflake/pool/pgstore"
)

// secret is a part of every password: nothing that is said may have it.
const secret = "qZ7secretQz"

// passwords are what somebody may put around it, escaped or not.
var passwords = []struct{ user, left, right, rest string }{
	{"u", "", "", "host"},
	{"u", "p", "p", "host:1/name"},
	{"u", "p/", "", "host/name"},
	{"u", "", "/p", "host,other:2/name"},
	{"u", "?", "#", "host"},
	{"u", "#", "?", "host"},
	{"u", "@", "@", "[::1]:2/name"},
	{"u", "p@host/", "", "host/name"},
	{"u", "%zz", "%", "host"},
	{"u", "%2F", "%40", "host?x=y"},
	{"", "", "", "host"},
	{"u:v", ":", ":", "host:port"},
	{"u", "://", "://", "://"},
	{"u", "[", "]", "[host"},
	{"u", " ", "\n", "host \x7f"},
	{"u", "p&", "&p", "host?password=x&tls=true"},
}

// shows returns which of some texts has the secret in it.
func shows(texts ...string) string {
	for _, text := range texts {
		if strings.Contains(text, secret) {
			return text
		}
	}
	return ""
}

// FuzzEtcdURL looks for a URL of an etcd that is read as another one, or that shows its
// password.
func FuzzEtcdURL(f *testing.F) {
	for _, p := range passwords {
		f.Add("etcd", p.user, p.left, p.right, p.rest)
	}
	for _, rest := range []string{
		"a,b:2,[::1]:3/x/y/", "a//x", "a/%40x?ca=c&cert=d&key=e%20f", "a?password-file=%2Ff", "a?tls=true&tls=true", "a?tls=false", "a?server-name=",
		"a:0", "a:65536", "a,", "/x", "[::1", "a/x%zz", "a/x%3Fy", "a/%2F", "a/?x", "a#x",
	} {
		f.Add("etcds", "u", "", "", rest)
	}
	f.Fuzz(func(t *testing.T, scheme, user, left, right, rest string) {
		if shows(scheme, user, left, right, rest) != "" {
			return
		}
		for _, text := range []string{
			scheme + "://" + rest,
			scheme + "://" + user + ":" + left + secret + right + "@" + rest,
			scheme + "://" + user + ":" + url.PathEscape(left+secret+right) + "@" + rest,
		} {
			u, err := etcdstore.ParseURL(text)
			if err != nil {
				var field *layout.FieldError
				if !errors.As(err, &field) || !reflect.DeepEqual(u, etcdstore.URL{}) || shows(err.Error(), fmt.Sprintf("%+v %#v", field.Value, field.Value)) != "" {
					t.Fatalf("%q: %+v, %v", text, u, err)
				}
				continue
			}
			soundEtcdURL(t, text, u)
		}
	})
}

func soundEtcdURL(t *testing.T, text string, u etcdstore.URL) {
	t.Helper()
	if all := fmt.Sprintf("%v %+v %#v %s %q", u, u, u, u, u); shows(all) != "" {
		t.Fatalf("%q is shown as %s", text, all)
	}
	if len(u.Endpoints) == 0 || u.Prefix == "" || (u.Password != "" || u.PasswordFile != "") != (u.User != "") {
		t.Fatalf("%q is read as %+v", text, u)
	}
	again, err := etcdstore.ParseURL(u.String())
	if err == nil && u.Password != "" {
		again.Password = u.Password // which is not shown
	}
	if err != nil || !reflect.DeepEqual(again, u) {
		t.Fatalf("%q is read as %v, and that as %v, %v", text, u, again, err)
	}
}

// FuzzPostgresURL looks for a URL of a PostgreSQL that shows its password.
func FuzzPostgresURL(f *testing.F) {
	for _, p := range passwords {
		f.Add("postgres", p.user, p.left, p.right, p.rest)
	}
	for _, rest := range []string{
		"h:1,i:2/d", "h/d?easyflake_schema=s", "h/d?easyflake_schema=", "h/d?pool_max_conns=x", "h/d?connect_timeout=-1", "h/d?target_session_attrs=any",
		"h:x/d", "/d", "h/d?port=x", "h?host=/a,b", "h/d?application_name=a#b", "h/d?channel_binding=x&require_auth=y",
	} {
		f.Add("postgresql", "u", "", "", rest)
	}
	f.Fuzz(func(t *testing.T, scheme, user, left, right, rest string) {
		if shows(scheme, user, left, right, rest) != "" || strings.ContainsAny(scheme, "@") {
			return
		}
		before, query, _ := strings.Cut(rest, "?")
		if names := strings.ToLower(left + right + rest); strings.Contains(names, "ssl") || strings.Contains(names, "service") || strings.Contains(names, "file") || strings.Contains(query+left+right, "%") {
			return // pgx would open files of any name
		}
		password := url.QueryEscape(left + secret + right)
		for _, address := range []string{
			scheme + "://" + user + ":" + left + secret + right + "@" + rest,
			scheme + "://" + user + ":" + url.PathEscape(left+secret+right) + "@" + rest,
			scheme + "://" + user + "@" + before + "?password=" + password + "&" + query,
			scheme + "://" + user + "@" + before + "?" + query + "&password=" + password,
			"user=" + user + " password=" + secret + " " + rest,
		} {
			shown := pgstore.Redacted(address)
			if shows(shown) != "" {
				t.Fatalf("%q is shown as %q", address, shown)
			}
			if err := pgstore.Valid(address); err != nil && (!errors.Is(err, pgstore.ErrURL) || shows(err.Error()) != "") {
				t.Fatalf("%q: %v", address, err)
			}
		}
	})
}
