package boltfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/easyflake/easyflake/pool"
)

// A stored value:
//
//	0        8          12
//	| revision | checksum | the record's value …
//
// The revision is the number of the bbolt transaction that wrote it: one
// transaction never writes a record twice, because nobody knows the first
// revision before it ends. The checksum (CRC-32C) covers namespace, key, revision
// and value: a record that has strayed to another key is found as well.
const header = 12

const (
	metaBucket      = "easyflake"
	namespacePrefix = "namespace:"
	recordKey       = "record" // a namespace's own; nodes have keys of 8 bytes
)

// Sizes that bbolt can keep, with room to spare.
const (
	maxName  = 4 << 10
	maxValue = 1 << 20
)

func bucketName(namespace string) []byte { return []byte(namespacePrefix + namespace) }

func nodeKey(node int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(node)^1<<63)
}

func nodeOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key) ^ 1<<63) }

func checksum(namespace string, key []byte, revision uint64, value []byte) uint32 {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	var numbers [16]byte
	binary.BigEndian.PutUint32(numbers[:], uint32(len(namespace)))
	binary.BigEndian.PutUint32(numbers[4:], uint32(len(key)))
	binary.BigEndian.PutUint64(numbers[8:], revision)
	for _, part := range [][]byte{numbers[:], []byte(namespace), key, value} {
		_, _ = h.Write(part) // never fails
	}
	return h.Sum32()
}

func encode(namespace string, key []byte, revision uint64, value []byte) []byte {
	data := make([]byte, 0, header+len(value))
	data = binary.BigEndian.AppendUint64(data, revision)
	data = binary.BigEndian.AppendUint32(data, checksum(namespace, key, revision, value))
	return append(data, value...)
}

// decode returns a copy: bbolt's memory is gone after the transaction.
func decode(namespace string, key, data []byte) (pool.Record, error) {
	if len(data) < header {
		return pool.Record{}, fmt.Errorf("a record of namespace %q is cut off", namespace)
	}
	r := pool.Record{Revision: binary.BigEndian.Uint64(data), Value: bytes.Clone(data[header:])}
	if r.Revision == 0 || binary.BigEndian.Uint32(data[8:]) != checksum(namespace, key, r.Revision, r.Value) {
		return pool.Record{}, fmt.Errorf("a record of namespace %q has a wrong checksum", namespace)
	}
	return r, nil
}

// read returns the zero Record for a key that does not exist.
func read(b *bbolt.Bucket, namespace string, key []byte) (pool.Record, error) {
	if b == nil {
		return pool.Record{}, nil
	}
	data := b.Get(key)
	if data == nil {
		return pool.Record{}, nil
	}
	return decode(namespace, key, data)
}

// Namespaces implements [pool.Store] within a transaction, as do those below.
func Namespaces(tx *bbolt.Tx) []string {
	var names []string
	c := tx.Cursor()
	for k, _ := c.Seek([]byte(namespacePrefix)); k != nil; k, _ = c.Next() {
		name, ok := strings.CutPrefix(string(k), namespacePrefix)
		if !ok {
			break
		}
		names = append(names, name)
	}
	return names
}

// Namespace returns a namespace's own record.
func Namespace(tx *bbolt.Tx, name string) (pool.Record, error) {
	return read(tx.Bucket(bucketName(name)), name, []byte(recordKey))
}

// Nodes returns the records of nodes from first to last.
func Nodes(tx *bbolt.Tx, name string, first, last int64) ([]pool.NodeRecord, error) {
	b := tx.Bucket(bucketName(name))
	if b == nil || first > last {
		return nil, nil
	}
	var found []pool.NodeRecord
	c := b.Cursor()
	end := nodeKey(last)
	for k, v := c.Seek(nodeKey(first)); k != nil && bytes.Compare(k, end) <= 0; k, v = c.Next() {
		if len(k) != len(end) {
			continue // the namespace's own
		}
		r, err := decode(name, k, v)
		if err != nil {
			return nil, err
		}
		found = append(found, pool.NodeRecord{Node: nodeOf(k), Record: r})
	}
	return found, nil
}

// apply writes one record if the revisions are still those, or says why it is
// refused and has changed nothing. After the other error the transaction must not
// be committed.
func apply(tx *bbolt.Tx, w pool.Write) (refused, failed error) {
	b := tx.Bucket(bucketName(w.Namespace))
	ns, err := read(b, w.Namespace, []byte(recordKey))
	if err != nil {
		return err, nil
	}
	if ns.Revision != w.NamespaceRevision {
		return pool.ErrConflict, nil
	}
	key := []byte(recordKey)
	if !w.OfNamespace {
		key = nodeKey(w.Node)
		node, err := read(b, w.Namespace, key)
		if err != nil {
			return err, nil
		}
		if w.NamespaceRevision == 0 || node.Revision != w.NodeRevision {
			return pool.ErrConflict, nil
		}
	}
	if b == nil {
		if b, err = tx.CreateBucket(bucketName(w.Namespace)); err != nil {
			return nil, fmt.Errorf("creating the bucket of namespace %q: %w", w.Namespace, err)
		}
	}
	return nil, b.Put(key, encode(w.Namespace, key, uint64(tx.ID()), w.Value))
}

// Fits refuses what bbolt could not keep, before it is in a transaction with
// others.
func Fits(w pool.Write) error {
	if w.Namespace == "" || len(w.Namespace) > maxName || len(w.Value) > maxValue {
		return fmt.Errorf("pool: a record of %d bytes for a namespace with a name of %d bytes: the name must have 1 to %d, the record at most %d", len(w.Value), len(w.Namespace), maxName, maxValue)
	}
	return nil
}

// metadata is what the file says of itself, in bucket "easyflake".
type metadata struct {
	format string
	id     string // 32 hex digits; drawn anew when a doubtful store goes on
	born   uint64 // the commit that made the file
	doubt  string // why the store is doubtful; empty where it is not
}

const (
	keyFormat = "format"
	keyID     = "id"
	keyBorn   = "born"
	keyDoubt  = "doubt"

	format = "1"
)

// set puts what data says under a key of bucket "easyflake".
func (m *metadata) set(key string, data []byte) error {
	r, err := decode(metaBucket, []byte(key), data)
	if err != nil {
		return err
	}
	switch key {
	case keyFormat:
		m.format = string(r.Value)
	case keyID:
		m.id = string(r.Value)
	case keyBorn:
		m.born = r.Revision
	case keyDoubt:
		m.doubt = string(r.Value)
	}
	return nil
}

func readMetadata(tx *bbolt.Tx) (metadata, error) {
	var m metadata
	b := tx.Bucket([]byte(metaBucket))
	if b == nil {
		return m, nil
	}
	err := b.ForEach(func(k, v []byte) error { return m.set(string(k), v) })
	return m, err
}

func writeMetadata(tx *bbolt.Tx, key, value string) error {
	b, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
	if err != nil {
		return err
	}
	if value == "" {
		return b.Delete([]byte(key))
	}
	return b.Put([]byte(key), encode(metaBucket, []byte(key), uint64(tx.ID()), []byte(value)))
}
