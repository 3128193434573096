package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/easyflake/easyflake/pool"
)

// What can be wrong, to be found by errors.Is.
var (
	ErrAddress     = errors.New("not the URL of a Redis server")
	ErrUnreachable = errors.New("the server cannot be reached")
	ErrAccess      = errors.New("the server denies access")             // credentials, permissions
	ErrReadOnly    = errors.New("the server is a replica")              // it takes no writes
	ErrCluster     = errors.New("the server is one of a cluster")       // and was asked as if alone
	ErrRefused     = errors.New("the server refuses for now")           // memory, disk, loading
	ErrEviction    = errors.New("the server may drop records")          // maxmemory-policy
	ErrUnsupported = errors.New("the server does not do what it takes") // too old, or something else
	ErrForeign     = errors.New("not a store of EasyFlake")
	ErrNewer       = errors.New("a store of a newer version")
	ErrDoubtful    = errors.New("the store may have lost records") // and is not settled
)

// Error says what is wrong with a store, and what to do.
type Error struct {
	// Server is the address, without credentials.
	Server string
	// Kind is one of the errors above.
	Kind  error
	Text  string
	Cause error
}

// Error is one sentence on what is wrong, and one on what helps.
func (e *Error) Error() string {
	s := "pool: "
	if e.Server != "" {
		s += "Redis at " + e.Server + ": "
	}
	s += e.Text
	if e.Cause != nil {
		s += " (" + e.Cause.Error() + ")"
	}
	return s
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

func (s *Store) errorf(kind, cause error, format string, args ...any) error {
	return &Error{Server: s.address, Kind: kind, Text: fmt.Sprintf(format, args...), Cause: cause}
}

// replies says what the errors mean that a server replies with, by how they begin,
// an "ERR" left out.
func replies() []struct {
	prefix, text string
	kind         error
} {
	return []struct {
		prefix, text string
		kind         error
	}{
		{"NOAUTH", "it asks for a password: give it in the URL, redis://USER:PASSWORD@HOST", ErrAccess},
		{"WRONGPASS", "the user or the password is wrong: check those in the URL", ErrAccess},
		{"AUTH", "the password is not accepted: check the one in the URL", ErrAccess},
		{"invalid password", "the password is wrong: check the one in the URL", ErrAccess},
		{"NOPERM", "the user lacks a permission: allow it the keys of the prefix, and the commands that the documentation of redisstore lists", ErrAccess},
		{"The user executing the script can't run", "the user lacks a permission: allow it the commands that the documentation of redisstore lists", ErrAccess},
		{"READONLY", "it is a replica, and takes no writes: name the master, or have Sentinel name it (redis+sentinel://)", ErrReadOnly},
		{"MOVED", "it is one of a cluster: write redis+cluster://, or use a cluster client", ErrCluster},
		{"ASK", "it is one of a cluster: write redis+cluster://, or use a cluster client", ErrCluster},
		{"This instance has cluster support disabled", "it is of no cluster: write redis:// in place of redis+cluster://", ErrAddress},
		{"CROSSSLOT", "it does not go by hash tags", ErrUnsupported},
		{"OOM", "its memory is used up: raise maxmemory, or free some; nothing was written", ErrRefused},
		{"MISCONF", "it cannot save to its disk, and takes no writes: see to the disk; nothing was written", ErrRefused},
		{"NOREPLICAS", "it has too few replicas (min-replicas-to-write): bring them back; nothing was written", ErrRefused},
		{"LOADING", "it is loading its data: try again", ErrRefused},
		{"BUSY", "it is busy with a script: try again", ErrRefused},
		{"TRYAGAIN", "its keys are being moved: try again", ErrRefused},
		{"CLUSTERDOWN", "its cluster is down: see to it, then try again", ErrRefused},
		{"MASTERDOWN", "it has lost its master: see to it, then try again", ErrRefused},
		{"WRONGTYPE", "something else is kept under this prefix, and is left as it is: choose another prefix, or another database", ErrForeign},
	}
}

// explain says what an error of the client's means. It never shows credentials, which
// no error of the client's has.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	switch {
	case errors.As(err, &known) || errors.Is(err, pool.ErrClosed):
		return err
	case errors.Is(err, redis.ErrClosed):
		return pool.ErrClosed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.seek()
		return fmt.Errorf("pool: Redis at %s: %w", s.address, err)
	}
	if errors.Is(err, redis.Nil) && strings.Contains(err.Error(), "sentinels") { // go-redis has no error for that
		return s.errorf(ErrUnreachable, err, "the Sentinels know no master of this name: check the one in the URL (master_name)")
	}
	if strings.Contains(strings.ToLower(err.Error()), "unknown command 'sentinel'") { // of all of them, in one error
		return s.errorf(ErrAddress, err, "what is named there is no Sentinel: name some, at port 26379 most likely, or write redis:// in place of redis+sentinel://")
	}
	for _, r := range replies() {
		if replied(err, r.prefix) {
			return s.errorf(r.kind, err, "%s", r.text)
		}
	}
	if _, ok := errors.AsType[redis.Error](err); ok {
		return s.errorf(ErrUnsupported, err, "it does not do what a store needs: use Redis 6.2 or newer, or what is like it")
	}
	s.seek()
	return s.errorf(ErrUnreachable, err, "it cannot be reached: check the address, the network and TLS, and that the server runs")
}

// replied reports whether an error is a reply that begins like this. Servers before
// Redis 7 wrap what a command of a script replies.
func replied(err error, prefix string) bool {
	if redis.HasErrorPrefix(err, "Error running script") {
		text := err.Error()
		return strings.Contains(text, ": "+prefix+" ") || strings.Contains(text, ": -"+prefix+" ")
	}
	return redis.HasErrorPrefix(err, prefix)
}

func (s *Store) foreign(cause error, what string) error {
	return s.errorf(ErrForeign, cause, "%s is no record of EasyFlake's, and is left as it is: choose another prefix, or put back what was there", what)
}
