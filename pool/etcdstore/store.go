package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// Store is a [pool.Store] in etcd. It is safe for concurrent use.
type Store struct {
	client  *clientv3.Client
	own     bool // the client is closed with the store
	kv      clientv3.KV
	keys    keys
	clock   clock.Clock
	timeout time.Duration // of a call
	attempt time.Duration // of one of its attempts
	refused *refusal

	closing context.Context //nolint:containedctx // it ends the calls under way
	close   context.CancelFunc
	mu      sync.Mutex // held to add to calls, and to close
	calls   sync.WaitGroup
}

var _ pool.Store = (*Store)(nil)

// page is how many records are read at once. With those of a pool, some hundred
// bytes each, an answer is far below every limit of a message.
const page = 2000

// Namespaces implements [pool.Store].
func (s *Store) Namespaces(ctx context.Context) (names []string, err error) {
	first := s.keys.namespaces()
	err = s.scan(ctx, first, clientv3.GetPrefixRangeEnd(first), func() { names = nil }, func(kv *mvccpb.KeyValue) error {
		name, err := s.keys.name(string(kv.GetKey()))
		if err != nil {
			return &pool.RecordError{What: fmt.Sprintf("etcd key %q", kv.GetKey()), Reason: err.Error()}
		}
		names = append(names, name)
		return nil
	}, clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	slices.Sort(names) // escaped, they are in another order
	return names, nil
}

// Namespace implements [pool.Store].
func (s *Store) Namespace(ctx context.Context, name string) (r pool.Record, err error) {
	key := s.keys.namespace(name)
	err = s.scan(ctx, key, key+"\x00", func() {}, func(kv *mvccpb.KeyValue) (err error) {
		r, err = open(fmt.Sprintf("namespace %q", name), kv)
		return err
	})
	return r, err
}

// Nodes implements [pool.Store].
func (s *Store) Nodes(ctx context.Context, name string, first, last int64) (found []pool.NodeRecord, err error) {
	if first > last {
		return nil, ctx.Err()
	}
	from, to := s.keys.node(name, first), s.keys.node(name, last)+"\x00"
	err = s.scan(ctx, from, to, func() { found = nil }, func(kv *mvccpb.KeyValue) error {
		node, err := s.keys.number(name, string(kv.GetKey()))
		if err != nil {
			return &pool.RecordError{What: fmt.Sprintf("etcd key %q", kv.GetKey()), Reason: err.Error()}
		}
		r, err := open(fmt.Sprintf("node %d of %q", node, name), kv)
		found = append(found, pool.NodeRecord{Node: node, Record: r})
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// scan shows all keys from one to before another, in order, as they were at one
// moment. Where that is forgotten before all was read, it begins anew.
func (s *Store) scan(ctx context.Context, from, to string, begin func(), show func(*mvccpb.KeyValue) error, opts ...clientv3.OpOption) error {
	for {
		begin()
		err := s.pages(ctx, from, to, show, opts)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			return err
		}
	}
}

func (s *Store) pages(ctx context.Context, from, to string, show func(*mvccpb.KeyValue) error, opts []clientv3.OpOption) error {
	opts = append(slices.Clip(opts), clientv3.WithRange(to), clientv3.WithLimit(page))
	for at := []clientv3.OpOption(nil); ; {
		var found *clientv3.GetResponse
		if _, err := s.call(ctx, func(ctx context.Context) (err error) {
			found, err = s.kv.Get(ctx, from, append(slices.Clip(opts), at...)...)
			return err
		}); err != nil {
			return err
		}
		for _, kv := range found.Kvs {
			if err := show(kv); err != nil {
				return err
			}
		}
		if !found.More || len(found.Kvs) == 0 {
			return nil
		}
		if at == nil {
			at = []clientv3.OpOption{clientv3.WithRev(found.Header.GetRevision())}
		}
		from = string(found.Kvs[len(found.Kvs)-1].GetKey()) + "\x00"
	}
}

// Now implements [pool.Store]: the wall clock's time, for etcd has no clock that
// could be read.
func (s *Store) Now(ctx context.Context) (int64, error) { return s.clock.Now(), ctx.Err() }

// Exclusive implements [pool.Store]: others may write as well.
func (s *Store) Exclusive() bool { return false }
