package etcdstore

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
)

// keys are where records are. The namespaces' keys and the nodes' share no prefix,
// and no name contains a slash once escaped: a namespace's nodes are a range of keys
// that nothing else lies in.
type keys struct{ prefix string }

func (k keys) namespaces() string { return k.prefix + "namespaces/" }

func (k keys) namespace(name string) string { return k.namespaces() + url.PathEscape(name) }

func (k keys) nodes(name string) string { return k.prefix + "nodes/" + url.PathEscape(name) + "/" }

// node flips the sign bit, so that -1 comes before 0.
func (k keys) node(name string, node int64) string {
	return k.nodes(name) + hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(node)^1<<63))
}

// name reads what namespace has made. Only that: two keys of one name would be two
// records of it.
func (k keys) name(key string) (string, error) {
	escaped, ok := strings.CutPrefix(key, k.namespaces())
	name, err := url.PathUnescape(escaped)
	if !ok || err != nil || name == "" || k.namespace(name) != key {
		return "", errForeignKey
	}
	return name, nil
}

// number reads what node has made.
func (k keys) number(name, key string) (int64, error) {
	digits, ok := strings.CutPrefix(key, k.nodes(name))
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 8 {
		return 0, errForeignKey
	}
	node := int64(binary.BigEndian.Uint64(b) ^ 1<<63)
	if k.node(name, node) != key { // capital letters
		return 0, errForeignKey
	}
	return node, nil
}

var errForeignKey = errors.New("its key is not one that EasyFlake makes: remove it with etcdctl, or give EasyFlake another prefix")
