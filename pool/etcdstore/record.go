package etcdstore

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/easyflake/easyflake/pool"
)

// A value in etcd is
//
//	easyflake/1 0123456789abcdef0123456789abcdef\n
//	the record
//
// The digits are the write's identity. Two servers may write the same record, and
// each must know whether its own write succeeded or the other's.

const (
	magic    = "easyflake/1 "
	idLength = 32
	header   = len(magic) + idLength + 1
)

// seal returns what etcd is to keep of a record, with a fresh identity.
func seal(record []byte) []byte {
	var id [idLength / 2]byte
	_, _ = rand.Read(id[:]) // never fails
	value := make([]byte, 0, header+len(record))
	value = append(value, magic...)
	value = hex.AppendEncode(value, id[:])
	value = append(value, '\n')
	return append(value, record...)
}

// same reports whether a value is the one that a write has sent.
func same(kv *mvccpb.KeyValue, sent []byte) bool { return bytes.Equal(kv.GetValue(), sent) }

// open returns the record in what etcd keeps of something.
func open(what string, kv *mvccpb.KeyValue) (pool.Record, error) {
	var reason string
	switch v := kv.GetValue(); {
	case kv.GetLease() != 0:
		reason = "it is attached to an etcd lease, whose end will delete it"
	case bytes.HasPrefix(v, []byte("easyflake/")) && !bytes.HasPrefix(v, []byte(magic)):
		reason = "a newer version of EasyFlake has written it: use that"
	case len(v) < header || !bytes.HasPrefix(v, []byte(magic)) || v[header-1] != '\n' || !isHex(v[len(magic):header-1]):
		reason = "EasyFlake has not written it: give EasyFlake another prefix, or find out who else writes there"
	default:
		return pool.Record{Value: v[header:], Revision: uint64(kv.GetModRevision())}, nil
	}
	return pool.Record{}, &pool.RecordError{What: fmt.Sprintf("%s (etcd key %q)", what, kv.GetKey()), Reason: reason}
}

func isHex(digits []byte) bool {
	for _, c := range digits {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// What etcd takes: its limit for a request is 1.5 MiB unless configured otherwise.
const (
	maxName   = 4 << 10
	maxRecord = 1 << 20
)

func fits(w pool.Write) error {
	if w.Namespace == "" || len(w.Namespace) > maxName || len(w.Value) > maxRecord {
		return fmt.Errorf("etcdstore: a record of %d bytes for a namespace with a name of %d bytes: the name must have 1 to %d, the record at most %d", len(w.Value), len(w.Namespace), maxName, maxRecord)
	}
	return nil
}
