package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"strconv"
	"strings"
)

// What bbolt writes, in the byte order of the machine:
//
//	page         id 8 | kind 2 | count 2 | overflow 4 | elements … | their data …
//	meta         magic 4 | version 4 | page size 4 | flags 4 | root 8 | sequence 8 |
//	             freelist 8 | pages 8 | transaction 8 | checksum 8
//	branch elem  offset of data 4 | key 4 | page 8
//	leaf elem    flags 4 | offset of data 4 | key 4 | value 4
//	bucket       root 8 | sequence 8 | where root is 0: a page, here and now
//
// Pages 0 and 1 are metas, of which the one with the later transaction counts.
const (
	pageHeader   = 16
	elementSize  = 16
	bucketHeader = 16
	metaSize     = 64

	boltMagic   = 0xED0CDAED
	boltVersion = 2

	kindBranch   = 0x01
	kindLeaf     = 0x02
	kindFreelist = 0x10

	flagBucket = 0x01

	leastPage = 1 << 10
	mostPage  = 1 << 24
	mostDepth = 64
)

// image is what verify has found in a file.
type image struct {
	metadata
	commits uint64 // the transaction that wrote it last
}

// What verify can say; damage is any other error.
var (
	errEmpty   = errors.New("it is empty")
	errNotBolt = errors.New("it is not a bbolt file")
	errNotOurs = errors.New("it is a bbolt file of something else")
)

// newerError says which version a file has.
type newerError struct{ what, version string }

func (e *newerError) Error() string { return e.what + " is " + e.version }

// verify walks all pages of a file, within the bounds of the file and of each
// page, and checks every record: bbolt, given a file that passed, cannot crash on
// it, and no record can have gone missing or have changed. It only reads.
func verify(f io.ReaderAt, size int64) (*image, error) {
	if size == 0 {
		return nil, errEmpty
	}
	meta, err := findMeta(f, size)
	if err != nil {
		return nil, err
	}
	w := &walk{file: f, pageSize: int64(meta.pageSize), used: make([]bool, meta.pages)}
	w.used[0], w.used[1] = true, true

	var buckets []element
	err = w.tree(meta.root, nil, nil, 0, func(e element) error {
		if e.flags&flagBucket == 0 {
			return errNotOurs
		}
		buckets = append(buckets, element{key: bytes.Clone(e.key), value: bytes.Clone(e.value)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	img := &image{commits: meta.commits}
	wrong := errNotOurs
	for _, b := range buckets {
		switch namespace, ok := strings.CutPrefix(string(b.key), namespacePrefix); {
		case string(b.key) == metaBucket:
			// A newer version is told from a damaged one by its format alone.
			wrong = nil
			err = w.bucket(b.value, func(e element) error {
				err := img.set(string(e.key), e.value)
				if e.flags != 0 && err == nil { // bbolt would not write over it
					err = fmt.Errorf("what the store says of itself has an element %q that is no record", e.key)
				}
				if err != nil && wrong == nil {
					wrong = err
				}
				return nil
			})
			if img.format != "" && img.format != format {
				return nil, &newerError{"the store's format", img.format}
			}
		case ok && wrong == nil:
			recorded := false
			err = w.bucket(b.value, func(e element) error {
				recorded = recorded || string(e.key) == recordKey
				return img.check(namespace, e)
			})
			if err == nil && !recorded { // a page that says to be empty hides what it has
				err = fmt.Errorf("namespace %q has no record of its own", namespace)
			}
		case wrong == nil:
			err = fmt.Errorf("bucket %q does not belong to a store", b.key)
		}
		if err == nil {
			err = wrong
		}
		if err != nil {
			return nil, err
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	if img.format == "" || img.id == "" || img.born == 0 {
		return nil, errors.New("what the store says of itself is incomplete")
	}
	return img, w.free(meta.freelist)
}

// check judges one element of a namespace's bucket.
func (img *image) check(namespace string, e element) error {
	if e.flags != 0 || len(e.key) != 8 && string(e.key) != recordKey {
		return fmt.Errorf("namespace %q has an element that is no record", namespace)
	}
	r, err := decode(namespace, e.key, e.value)
	if err == nil && r.Revision > img.commits {
		err = fmt.Errorf("a record of namespace %q is newer than the store", namespace)
	}
	return err
}

type boltMeta struct {
	pageSize uint32
	root     uint64
	freelist uint64
	pages    uint64 // how many pages there are, free ones included
	commits  uint64
}

// findMeta returns the meta that counts, as bbolt chooses it.
func findMeta(f io.ReaderAt, size int64) (*boltMeta, error) {
	first, err := readMeta(f, 0)
	pageSize := int64(0)
	if err == nil {
		pageSize = int64(first.pageSize)
	}
	worst := err
	var second *boltMeta
	for at := int64(leastPage); at <= mostPage && second == nil; at *= 2 {
		if pageSize != 0 && at != pageSize {
			continue
		}
		m, err := readMeta(f, at)
		var newer *newerError
		switch {
		case err == nil && int64(m.pageSize) == at:
			second = m
		case errors.As(err, &newer):
			worst = err
		}
	}
	meta := first
	if meta == nil || second != nil && second.commits > meta.commits {
		meta = second
	}
	switch {
	case meta == nil:
		return nil, worst
	case meta.pages < 4 || meta.pages > uint64(size/int64(meta.pageSize)):
		return nil, fmt.Errorf("it is cut off: %d bytes, of %d pages of %d bytes", size, meta.pages, meta.pageSize)
	}
	return meta, nil
}

func readMeta(f io.ReaderAt, page int64) (*boltMeta, error) {
	var b [metaSize]byte
	if _, err := f.ReadAt(b[:], page+pageHeader); err != nil {
		if !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading it: %w", err)
		}
		return nil, errNotBolt
	}
	order := binary.NativeEndian
	h := fnv.New64a()
	_, _ = h.Write(b[:56]) // never fails
	version := order.Uint32(b[4:])
	switch {
	case order.Uint32(b[:]) != boltMagic:
		return nil, errNotBolt
	case order.Uint64(b[56:]) != h.Sum64():
		return nil, errors.New("the pages that describe it have wrong checksums")
	case version != boltVersion:
		return nil, &newerError{"its bbolt version", strconv.FormatUint(uint64(version), 10)}
	}
	m := &boltMeta{
		pageSize: order.Uint32(b[8:]),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		pages:    order.Uint64(b[40:]),
		commits:  order.Uint64(b[48:]),
	}
	if m.pageSize < leastPage || m.pageSize > mostPage || m.pageSize&(m.pageSize-1) != 0 {
		return nil, fmt.Errorf("its pages have an impossible size, %d", m.pageSize)
	}
	return m, nil
}

// walk goes through the pages of a file.
type walk struct {
	file     io.ReaderAt
	pageSize int64
	used     []bool // by page
}

// element is one of a leaf or a branch.
type element struct {
	flags      uint32
	key, value []byte
	child      uint64
}

// page reads a page with those that it runs over into, and marks them as used.
func (w *walk) page(id uint64) ([]byte, error) {
	if id < 2 || id >= uint64(len(w.used)) {
		return nil, fmt.Errorf("page %d does not exist", id)
	}
	var start [pageHeader]byte
	if err := w.read(start[:], id); err != nil {
		return nil, err
	}
	order := binary.NativeEndian
	over := uint64(order.Uint32(start[12:]))
	switch {
	case order.Uint64(start[:]) != id:
		return nil, fmt.Errorf("page %d says that it is page %d", id, order.Uint64(start[:]))
	case over >= uint64(len(w.used))-id:
		return nil, fmt.Errorf("page %d runs over the end", id)
	}
	data := make([]byte, int64(over+1)*w.pageSize)
	if err := w.read(data, id); err != nil {
		return nil, err
	}
	for i := id; i <= id+over; i++ {
		if w.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		w.used[i] = true
	}
	return data, nil
}

func (w *walk) read(into []byte, page uint64) error {
	if _, err := w.file.ReadAt(into, int64(page)*w.pageSize); err != nil {
		return fmt.Errorf("reading page %d: %w", page, err)
	}
	return nil
}

// tree visits the leaves of a tree, whose keys are all at least low and below
// high, where they are given.
func (w *walk) tree(id uint64, low, high []byte, depth int, visit func(element) error) error {
	data, err := w.page(id)
	if err != nil {
		return err
	}
	if depth > mostDepth {
		return fmt.Errorf("page %d lies too deep", id)
	}
	all, branch, err := elements(data)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if len(all) == 0 && (branch || depth > 0) {
		return fmt.Errorf("page %d has no elements", id)
	}
	for i, e := range all {
		if i > 0 && bytes.Compare(all[i-1].key, e.key) >= 0 || bytes.Compare(e.key, low) < 0 || high != nil && bytes.Compare(e.key, high) >= 0 {
			return fmt.Errorf("page %d: keys out of order", id)
		}
		if !branch {
			err = visit(e)
		} else {
			end := high
			if i+1 < len(all) {
				end = all[i+1].key
			}
			err = w.tree(e.child, e.key, end, depth+1, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// elements returns the elements of a page. bbolt writes their data one after the
// other, right behind the last of them: a wrong count shows, too.
func elements(page []byte) (all []element, branch bool, err error) {
	if len(page) < pageHeader {
		return nil, false, errors.New("is cut off")
	}
	order := binary.NativeEndian
	kind, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	if kind != kindBranch && kind != kindLeaf {
		return nil, false, fmt.Errorf("is of kind %#x", kind)
	}
	branch = kind == kindBranch
	next := pageHeader + count*elementSize
	if next > len(page) {
		return nil, false, fmt.Errorf("has no room for %d elements", count)
	}
	all = make([]element, count)
	for i := range all {
		at := pageHeader + i*elementSize
		field := func(n int) uint32 { return order.Uint32(page[at+4*n:]) }
		offset, key, value := field(0), field(1), uint32(0)
		if branch {
			all[i].child = order.Uint64(page[at+8:])
		} else {
			all[i].flags, offset, key, value = offset, key, field(2), field(3)
		}
		end := uint64(next) + uint64(key) + uint64(value)
		if uint64(at)+uint64(offset) != uint64(next) || key == 0 || end > uint64(len(page)) {
			return nil, false, fmt.Errorf("element %d lies outside of the page", i)
		}
		data := page[next:end]
		all[i].key, all[i].value = data[:key:key], data[key:]
		next = int(end)
	}
	return all, branch, nil
}

// bucket visits all elements of a bucket, given by the value that stands for it.
func (w *walk) bucket(value []byte, visit func(element) error) error {
	if len(value) < bucketHeader {
		return errors.New("a bucket is cut off")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.tree(root, nil, nil, 0, visit)
	}
	all, branch, err := elements(value[bucketHeader:])
	if err != nil {
		return fmt.Errorf("a small bucket %w", err)
	}
	if branch {
		return errors.New("a small bucket has branches")
	}
	for i, e := range all {
		if i > 0 && bytes.Compare(all[i-1].key, e.key) >= 0 {
			return errors.New("a small bucket has keys out of order")
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// free checks that each page is either used or free: bbolt would write over one
// that is both, and one that is neither is what something lost has left.
func (w *walk) free(id uint64) error {
	data, err := w.page(id)
	if err != nil {
		return fmt.Errorf("free pages: %w", err)
	}
	order := binary.NativeEndian
	if kind := order.Uint16(data[8:]); kind != kindFreelist {
		return fmt.Errorf("free pages: page %d is of kind %#x", id, kind)
	}
	count, ids := uint64(order.Uint16(data[10:])), data[pageHeader:]
	if count == math.MaxUint16 { // more than fit into the field
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return fmt.Errorf("free pages: page %d has no room for %d", id, count)
	}
	for i := range count {
		free := order.Uint64(ids[8*i:])
		if free < 2 || free >= uint64(len(w.used)) || w.used[free] {
			return fmt.Errorf("free pages: page %d does not exist, or is used", free)
		}
		w.used[free] = true
	}
	for page, used := range w.used {
		if !used {
			return fmt.Errorf("page %d is lost", page)
		}
	}
	return nil
}
