package redisstore

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/easyflake/easyflake/pool/internal/redacted"
)

// What follows the scheme's name in the URL of more than one server.
const (
	ofCluster  = "+cluster"
	ofSentinel = "+sentinel"
)

// Redacted returns a URL as it may be shown to anybody: without the password and the
// options, among which can be another one. It need not be a valid one.
func Redacted(address string) string {
	return redacted.URL(address, "", "redis", "rediss", "unix",
		"redis"+ofCluster, "rediss"+ofCluster, "redis"+ofSentinel, "rediss"+ofSentinel)
}

// CheckURL says what is wrong with a URL, as far as that can be told without connecting.
// Its error does not show the URL.
func CheckURL(address string) error {
	_, err := parse(address)
	return err
}

// target is what a URL names.
type target struct {
	connect func() redis.UniversalClient
	shown   string // where it is, without credentials; "" where the client says so
}

// parse reads a URL. go-redis' errors may show a part of the password, and its clients
// panic where numbers are out of their range or options contradict each other.
func parse(address string) (*target, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	name, kind := scheme, ""
	if i := strings.IndexByte(scheme, '+'); i >= 0 {
		name, kind = scheme[:i], scheme[i:]
	}
	u, err := url.Parse(name + "://" + rest)
	if err != nil || !inRange(u.Query()) {
		return nil, errAddress()
	}
	switch kind {
	case "":
		return single(address)
	case ofCluster:
		return cluster(u)
	case ofSentinel:
		return sentinel(u)
	}
	return nil, errAddress()
}

// inRange reports whether a client can be made with options that are numbers of things.
func inRange(options url.Values) bool {
	const most = 1 << 20
	for name, values := range options {
		if !strings.HasSuffix(name, "_size") && !strings.HasSuffix(name, "_conns") && !strings.HasSuffix(name, "_dials") {
			continue
		}
		for _, value := range values {
			if n, err := strconv.Atoi(value); err == nil && (n > most || n < 0 && name == "pool_size") {
				return false
			}
		}
	}
	return true
}

func single(address string) (*target, error) {
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, errAddress()
	}
	o.ContextTimeoutEnabled = true
	o.DialerRetries = 1 // what was not sent is sent again anyway
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &target{connect: func() redis.UniversalClient { return redis.NewClient(o) }}, nil
}

func cluster(u *url.URL) (*target, error) {
	o, err := redis.ParseClusterURL(u.String())
	if err != nil || strings.Trim(u.Path, "/") != "" { // a cluster has no databases
		return nil, errAddress()
	}
	o.ContextTimeoutEnabled = true
	o.DialerRetries = 1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &target{connect: func() redis.UniversalClient { return redis.NewClusterClient(o) }}, nil
}

func sentinel(u *url.URL) (*target, error) {
	o, err := redis.ParseFailoverURL(u.String())
	if err != nil || o.MasterName == "" || o.RouteByLatency || o.RouteRandomly {
		return nil, errAddress()
	}
	if u.Port() == "" { // where go-redis takes a server's own
		o.SentinelAddrs[0] = net.JoinHostPort(cmp.Or(u.Hostname(), "localhost"), "26379")
	}
	o.ContextTimeoutEnabled = true
	o.DialerRetries = 1
	o.DisableIdentity = true
	return &target{
		connect: func() redis.UniversalClient { return redis.NewFailoverClient(o) },
		shown:   fmt.Sprintf("the master of Sentinel %s/%d", strings.Join(o.SentinelAddrs, ","), o.DB),
	}, nil
}

func errAddress() error {
	return &Error{Kind: ErrAddress, Text: "the address is no URL of a Redis server: it must be redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS; redis+cluster://USER:PASSWORD@HOST:PORT?addr=HOST:PORT for a cluster; or redis+sentinel://HOST:PORT/DATABASE?master_name=NAME&username=USER&password=PASSWORD for the master that Sentinel names; special characters in the password escaped, and its options those of go-redis"}
}
