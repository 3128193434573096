package fuzz

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"
)

// folder is where a process of a target keeps its files: in memory where there is
// such a file system, since each input is synced some times.
func folder(f *testing.F) string {
	f.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "easyflake-fuzz-")
	if err != nil {
		return f.TempDir()
	}
	f.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			f.Error(err)
		}
	})
	return dir
}

// original is a store on disk as it was when it was closed. It is put back in place
// before each input, so that it stays the file that its marker was made for.
type original struct {
	path          string
	store, marker []byte
	older         []byte // the marker as it was some commits before
}

func (o *original) markerPath() string { return o.path + ".id" }

// keep reads what there is now.
func (o *original) keep(f *testing.F) {
	f.Helper()
	o.older = o.marker
	var err error
	if o.store, err = os.ReadFile(o.path); err != nil {
		f.Fatal(err)
	}
	if o.marker, err = os.ReadFile(o.markerPath()); err != nil {
		f.Fatal(err)
	}
}

// damage is what an input does to a store.
type damage struct {
	marker uint8 // what becomes of the marker
	whole  bool  // edits are the whole file
	forged bool  // make the checksums of the pages that describe the file right again
	edits  []byte
}

// What becomes of a marker.
const (
	markerKept = iota
	markerMissing
	markerEmpty
	markerOlder
	markerEdited
	fileMissing
	numMarkers
)

// longest bounds the files, and so what an input costs.
const longest = 128 << 10

// put makes the files what they are after the damage, and returns the store's bytes.
func (o *original) put(t *testing.T, d damage) []byte {
	t.Helper()
	data := bytes.Clone(d.edits)
	if !d.whole {
		data = edited(bytes.Clone(o.store), d.edits)
	}
	if d.forged {
		forge(data)
	}
	// In place: the file keeps its number in the file system.
	if err := os.WriteFile(o.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	marker := o.marker
	switch d.marker % numMarkers {
	case markerEmpty:
		marker = nil
	case markerOlder:
		marker = o.older
	case markerEdited:
		marker = edited(bytes.Clone(marker), d.edits)
	case markerMissing:
		if err := os.Remove(o.markerPath()); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return data
	case fileMissing:
		if err := os.Rename(o.path, o.path+".away"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Rename(o.path+".away", o.path); err != nil {
				t.Error(err)
			}
		})
		data = nil
	}
	if err := os.WriteFile(o.markerPath(), marker, 0o600); err != nil {
		t.Fatal(err)
	}
	return data
}

// edited damages data by a list of edits of six bytes: kind, place, length, value.
func edited(data, edits []byte) []byte {
	for ; len(edits) >= 6; edits = edits[6:] {
		at := int(edits[1])<<16 | int(edits[2])<<8 | int(edits[3])
		length, value := int(edits[4])+1, edits[5]
		if at %= max(len(data), 1); len(data) == 0 {
			return data
		}
		piece := data[at:min(len(data), at+length)]
		switch edits[0] % 6 {
		case 0:
			piece[0] = value
		case 1:
			piece[0] ^= 1 << (value % 8)
		case 2:
			clear(piece)
		case 3:
			for i := range piece {
				piece[i] ^= value | 1
			}
		case 4:
			data = data[:at]
		case 5:
			data = append(data, make([]byte, min(length<<(value%10), longest-len(data)))...)
		}
	}
	return data
}

// forge does what no accident does: after it, what the file says of itself counts
// again. See go.etcd.io/bbolt, type Meta.
func forge(data []byte) {
	const header, summed = 16, 56
	for at := header; at+summed+8 <= len(data) && at <= 16<<10; at += 1 << 10 {
		meta := data[at:]
		if binary.NativeEndian.Uint32(meta) != 0xED0CDAED {
			continue
		}
		h := fnv.New64a()
		_, _ = h.Write(meta[:summed]) // never fails
		binary.NativeEndian.PutUint64(meta[summed:], h.Sum64())
	}
}

// add seeds the damages that every target begins with.
func (o *original) add(f *testing.F) {
	f.Helper()
	add := func(marker uint8, whole, forged bool, edits ...byte) { f.Add(marker, whole, forged, uint16(0), edits) }
	edit := func(kind byte, at int, length, value byte) []byte {
		return []byte{kind, byte(at >> 16), byte(at >> 8), byte(at), length, value}
	}
	page := os.Getpagesize()
	for marker := range uint8(numMarkers) {
		f.Add(marker, false, false, uint16(200), []byte(nil))
		add(marker, false, false, edit(1, 24, 0, 3)...)      // the first of the pages that describe it
		add(marker, false, false, edit(1, page+24, 0, 3)...) // the second
		add(marker, false, false, append(edit(1, 24, 0, 3), edit(1, page+24, 0, 3)...)...)
	}
	for _, at := range []int{0, 16, page, 2 * page, 3 * page, 4 * page, len(o.store) - 1} {
		add(markerKept, false, false, edit(4, at, 0, 0)...)
		add(markerKept, false, false, edit(2, at, 255, 0)...)
		for _, field := range []int{0, 8, 10, 12, 16, 24, 28, 32, 40, 48, 56, 64} {
			if at+field < len(o.store) {
				add(markerKept, false, true, edit(0, at+field, 0, 2)...)
				add(markerEdited, false, true, edit(3, at+field, 7, 0)...)
			}
		}
	}
	add(markerKept, false, false, edit(5, 0, 255, 9)...)
	add(markerKept, true, false)
	add(markerMissing, true, false, []byte("not a store")...)
	add(markerKept, true, false, make([]byte, 4*page)...)
	add(markerMissing, true, true, o.store...)
	add(markerKept, true, false, o.store[:len(o.store)/2]...)
}

// newOriginal names a store in a folder of the target's own.
func newOriginal(f *testing.F) *original {
	f.Helper()
	return &original{path: filepath.Join(folder(f), "store")}
}
