package redisstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/easyflake/easyflake/pool"
)

// state is what a look has shown of the server.
type state struct {
	now           int64
	run, replid   string
	role, policy  string
	aof           bool
	trusted       bool
	format, noted string // of the store's own record
	empty         bool   // there is nothing
	doubt         string // why it is not trusted
}

// look asks the server for the time, and for all that decides whether it can be used.
func (s *Store) look(ctx context.Context) (*state, error) {
	reply, err := s.eval(ctx, s.scripts.look, []string{s.keys.store, s.keys.namespaces})
	if err != nil {
		return nil, err
	}
	const fields = 11
	all, _ := reply.([]any)
	texts := make([]string, fields)
	for i := range min(len(all), fields) {
		texts[i], _ = all[i].(string)
	}
	st := &state{
		run: texts[2], replid: texts[3], role: texts[4], policy: texts[5],
		aof: texts[6] == "1", trusted: texts[7] == "1", format: texts[8], noted: texts[9],
		empty: texts[10] == "0",
	}
	if st.now, err = nanoseconds(texts[0], texts[1]); err != nil {
		return nil, s.errorf(ErrUnsupported, err, "its clock tells nothing: use Redis 6.2 or newer")
	}
	if err := s.judge(st); err != nil {
		return nil, err
	}
	s.compare(ctx, st)
	return st, nil
}

// judge refuses a server that cannot keep a store.
func (s *Store) judge(st *state) error {
	switch {
	case st.run == "" || st.replid == "" || st.role == "" || st.policy == "":
		return s.errorf(ErrUnsupported, nil, "it does not tell its run_id, master_replid, role and maxmemory_policy (INFO), without which lost records go unnoticed: use Redis 6.2 or newer, or what is like it")
	case st.role != "master":
		return s.errorf(ErrReadOnly, nil, "it is a replica: name the master, or have Sentinel name it (redis+sentinel://)")
	case strings.HasPrefix(st.policy, "allkeys-"):
		return s.errorf(ErrEviction, nil, "its maxmemory-policy %s drops any key when memory runs short: set noeviction", st.policy)
	case st.format != "" && st.format != format:
		return s.errorf(ErrNewer, nil, "the store has format %q, and this program knows %s: use a newer version", st.format, format)
	}
	return nil
}

// compare says why the server is not trusted, and what has changed since it was last
// looked at.
func (s *Store) compare(ctx context.Context, st *state) {
	known := s.seen.Load() != nil
	switch {
	case st.trusted, st.empty && s.fresh && !known: // the latter is about to be
	case st.noted != "" && st.noted != st.run:
		st.doubt = fmt.Sprintf("the server was restarted, or another one took over: run ID %s, before that %s", st.run, st.noted)
	case st.noted != "":
		st.doubt = "its replication history is another one: another server was the master in between, or its first replica has come, or the last one been gone for long"
	case st.empty && !known:
		st.doubt = "it is empty, and nothing tells whether it always was"
	case st.empty:
		st.doubt = "all records are gone"
	default:
		st.doubt = "what it says of itself is gone"
	}
	switch before := s.seen.Swap(st); {
	case st.doubt != "" && (before == nil || before.doubt == ""):
		s.log.WarnContext(ctx, "the store may have lost records: it is to be settled before anything is granted", "server", s.address, "why", st.doubt)
	case before != nil && before.run != st.run:
		s.log.WarnContext(ctx, "Redis was restarted, or another one took over, and the store was settled since", "server", s.address, "run_id", st.run, "before", before.run)
	}
}

// Doubtful says why the store may have lost records, "" where nothing spoke for it the
// last time that its clock was read, or where it was settled.
func (s *Store) Doubtful() string { return s.seen.Load().doubt }

// Settle makes a doubtful store usable: it raises the floors of all namespaces, and then
// trusts the server. It does nothing where there is no doubt. Several may settle at
// once. The store's pool is not asked, for what it remembers may be what was lost.
//
// A write that finds the store doubtful settles it, too.
func (s *Store) Settle(ctx context.Context, _ *pool.Local) error { return s.settle(ctx) }

func (s *Store) settle(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	st, err := s.look(ctx)
	if err != nil || st.trusted {
		return err
	}
	s.log.ErrorContext(ctx, "the store may have lost records: no window begins before a horizon from now", "server", s.address, "why", st.doubt)
	// This pool ends with its store, which stays open.
	if err := pool.New(s, pool.WithLogger(s.log)).Doubt(ctx); err != nil {
		return s.errorf(ErrDoubtful, err, "it may have lost records (%s), and the floors that keep new windows apart from lost ones could not be raised: try again", st.doubt)
	}
	// Floors raised at another server than this one may be lost again.
	trusted, err := s.trust(ctx, st, false)
	if err != nil {
		return err
	}
	if !trusted {
		return s.errorf(ErrDoubtful, nil, "it may have lost records, and another server took over while the floors were raised: try again")
	}
	_, err = s.look(ctx)
	return err
}

// trust notes that the server can be trusted, if it is still the one that was looked at;
// with fresh, only where there is nothing.
func (s *Store) trust(ctx context.Context, st *state, fresh bool) (bool, error) {
	only := "0"
	if fresh {
		only = "1"
	}
	reply, err := s.eval(ctx, s.scripts.trust, []string{s.keys.store, s.keys.namespaces}, st.run, st.replid, only, format)
	done, _ := reply.(int64)
	return done == 1, err
}
