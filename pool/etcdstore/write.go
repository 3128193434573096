package etcdstore

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/easyflake/easyflake/pool"
)

// Write implements [pool.Store] in one round trip. If ctx ends first, the write may
// still be made.
//
// Where an attempt breaks off, the same transaction is sent again. Whichever attempt
// etcd carries out first, no other one can find the same revisions any more: so the
// record is written once or not at all, however many attempts are still on their
// way.
func (s *Store) Write(ctx context.Context, w pool.Write) (revision uint64, err error) {
	if err := fits(w); err != nil {
		return 0, err
	}
	if !w.OfNamespace && w.NamespaceRevision == 0 {
		return 0, pool.ErrConflict // a node of no namespace
	}
	namespace := s.keys.namespace(w.Namespace)
	key := namespace
	unchanged := []clientv3.Cmp{at(namespace, w.NamespaceRevision)}
	if !w.OfNamespace {
		key = s.keys.node(w.Namespace, w.Node)
		unchanged = append(unchanged, at(key, w.NodeRevision))
	}
	value := seal(w.Value)
	put, get := clientv3.OpPut(key, string(value)), clientv3.OpGet(key)
	var made *clientv3.TxnResponse
	broken, err := s.call(ctx, func(ctx context.Context) (err error) {
		made, err = s.kv.Txn(ctx).If(unchanged...).Then(put).Else(get).Commit()
		return err
	})
	switch {
	case err != nil && broken > 0:
		if errors.Is(err, pool.ErrClosed) {
			err = context.Canceled // ErrClosed would say that nothing was done
		}
		return 0, fmt.Errorf("etcdstore: it is not known whether the record was written: read it again: %w", err)
	case err != nil:
		return 0, err
	case made.Succeeded:
		return uint64(made.Header.GetRevision()), nil
	}
	there := present(made)
	switch {
	case there != nil && same(there, value): // by an attempt that broke off
		return uint64(there.GetModRevision()), nil
	case broken > 0 && moved(there, w):
		// Another's record. It may have replaced ours.
		return 0, errOvertaken
	}
	return 0, pool.ErrConflict
}

var errOvertaken = errors.New("etcdstore: it is not known whether the record was written: an attempt broke off, and another server has written the record since: read it again")

// at compares a key's revision; 0 is that of a key which does not exist.
func at(key string, revision uint64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(key), "=", int64(revision))
}

// present returns what a transaction that was refused has found, nil for nothing.
func present(refused *clientv3.TxnResponse) *mvccpb.KeyValue {
	if found := refused.Responses[0].GetResponseRange().GetKvs(); len(found) > 0 {
		return found[0]
	}
	return nil
}

// moved reports whether the record is not the one that was to be replaced.
func moved(there *mvccpb.KeyValue, w pool.Write) bool {
	expected := w.NodeRevision
	if w.OfNamespace {
		expected = w.NamespaceRevision
	}
	return uint64(there.GetModRevision()) != expected
}
