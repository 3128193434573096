package boltfile

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

func filled(t *testing.T, nodes int64) (path string, data []byte) {
	t.Helper()
	path = newPath(t)
	fill(t, path, nodes)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return path, data
}

func TestVerifyPassesWhatBboltWrites(t *testing.T) {
	for _, nodes := range []int64{1, 3, 20, 300, 5000} {
		_, data := filled(t, nodes)
		_, err := verify(bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err, nodes)
	}
}

// Whatever bit is wrong, either it is found, or it is one that means nothing; or
// the store is seen to be older than it was, which is for the marker to find.
func TestVerifyFindsFlippedBits(t *testing.T) {
	path, data := filled(t, 60)
	want := readAll(t, path)
	img, err := verify(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	broken := filepath.Join(t.TempDir(), "broken")
	found, older, harmless := 0, 0, 0
	for range 3000 {
		at, bit := rng.IntN(len(data)), rng.IntN(8)
		data[at] ^= 1 << bit
		got, err := verify(bytes.NewReader(data), int64(len(data)))
		switch {
		case err != nil:
			found++
		case got.commits < img.commits:
			older++
		default:
			harmless++
			require.NoError(t, os.WriteFile(broken, data, 0o600))
			require.Equal(t, want, readAll(t, broken), "byte %d, bit %d", at, bit)
		}
		data[at] ^= 1 << bit
	}
	t.Logf("found %d, older %d, harmless %d", found, older, harmless)
	assert.Positive(t, found)
	assert.Positive(t, harmless)
}

// readAll reads a file by bbolt alone.
func readAll(t *testing.T, path string) (all map[string]string) {
	t.Helper()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.View(func(tx *bbolt.Tx) (err error) {
		all, err = contents(tx)
		return err
	}))
	return all
}

// Damage of all sorts: the whole way of opening must not panic, must not change
// the file when it refuses, and must find what was written when it does not.
func TestStartOfDamagedCopies(t *testing.T) {
	path, data := filled(t, 120)
	want := readAll(t, path)
	id, err := os.ReadFile(path + ".id")
	require.NoError(t, err)
	pageSize := os.Getpagesize()
	damage := map[string]func(*rand.Rand, []byte) []byte{
		"a flipped bit": func(rng *rand.Rand, d []byte) []byte {
			d[rng.IntN(len(d))] ^= 1 << rng.IntN(8)
			return d
		},
		"garbage in a page": func(rng *rand.Rand, d []byte) []byte {
			for i, at := 0, rng.IntN(len(d)); i < 64 && at+i < len(d); i++ {
				d[at+i] = byte(rng.Uint32())
			}
			return d
		},
		"a page of zeros": func(rng *rand.Rand, d []byte) []byte {
			at := rng.IntN(len(d)/pageSize) * pageSize
			clear(d[at : at+pageSize])
			return d
		},
		"a page in place of another": func(rng *rand.Rand, d []byte) []byte {
			from, to := rng.IntN(len(d)/pageSize)*pageSize, rng.IntN(len(d)/pageSize)*pageSize
			copy(d[to:to+pageSize], d[from:from+pageSize])
			return d
		},
		"an end that is missing": func(rng *rand.Rand, d []byte) []byte { return d[:rng.IntN(len(d))] },
		"a meta page with another number": func(rng *rand.Rand, d []byte) []byte {
			// With a checksum that fits: nothing but the walk can find it.
			page := d[rng.IntN(2)*pageSize:]
			at := pageHeader + []int{16, 32, 40}[rng.IntN(3)]
			binary.NativeEndian.PutUint64(page[at:], binary.NativeEndian.Uint64(page[at:])+rng.Uint64N(1<<rng.IntN(63)))
			h := fnv.New64a()
			_, _ = h.Write(page[pageHeader : pageHeader+56])
			binary.NativeEndian.PutUint64(page[pageHeader+56:], h.Sum64())
			return d
		},
	}
	for name, change := range damage {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, uint64(len(name))))
			opened, refused := 0, 0
			for range 80 {
				copied := filepath.Join(t.TempDir(), "store")
				broken := change(rng, bytes.Clone(data))
				require.NoError(t, os.WriteFile(copied, broken, 0o600))
				require.NoError(t, os.WriteFile(copied+".id", id, 0o600))
				s, err := find(t, copied).Start(t.Context())
				if err != nil {
					refused++
					require.ErrorIs(t, err, ErrDamaged)
					left, err := os.ReadFile(copied)
					require.NoError(t, err)
					require.True(t, bytes.Equal(broken, left), "the file must be left as it is")
					continue
				}
				opened++
				require.NotEmpty(t, s.Doubtful(), "a copy is doubtful")
				if got := sessionContents(t, s); len(got) == len(want) {
					assert.Equal(t, want["large/7"], got["large/7"])
				}
				require.NoError(t, s.Trust())
				require.NoError(t, s.Close())
			}
			t.Logf("opened %d, refused %d", opened, refused)
		})
	}
}

func TestStartOfFilesCutOffAtPages(t *testing.T) {
	path, data := filled(t, 120)
	id, err := os.ReadFile(path + ".id")
	require.NoError(t, err)
	pageSize := os.Getpagesize()
	for size := 0; size < len(data); size += pageSize {
		for _, exact := range []int{size, size + 1, size + pageSize - 1} {
			copied := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.WriteFile(copied, data[:exact], 0o600))
			require.NoError(t, os.WriteFile(copied+".id", id, 0o600))
			if s, err := find(t, copied).Start(t.Context()); err == nil {
				// The end of the file may be room that was never used.
				require.Equal(t, readAll(t, path), sessionContents(t, s))
				require.NoError(t, s.Close())
				continue
			}
			require.ErrorIs(t, startErr(t, copied), ErrDamaged)
		}
	}
}

// A commit that was torn apart leaves one of its two meta pages: what was there
// before, and the marker tells that it is older.
func TestTornMetaIsOlderAndDoubtful(t *testing.T) {
	path, data := filled(t, 10)
	img, err := verify(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(make([]byte, 64), int64(img.commits%2)*int64(os.Getpagesize())+40)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	s := start(t, path)
	assert.Contains(t, s.Doubtful(), "older copy")
	assert.NotContains(t, sessionContents(t, s)["large/5"], "once more")
	require.NoError(t, s.Close())
}

// What the store says of itself is written again, which bbolt refuses where an
// element says that it is a bucket.
func TestVerifyFindsBucketsAmongWhatTheStoreSaysOfItself(t *testing.T) {
	_, data := filled(t, 3)
	img, err := verify(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	found := 0
	for at := 0; at+elementSize <= len(data); at++ {
		e := data[at : at+elementSize] // flags, offset, length of the key, of the value
		order := binary.NativeEndian
		key := at + int(order.Uint32(e[4:]))
		if order.Uint32(e) != 0 || order.Uint32(e[8:]) != uint32(len(keyID)) || key < 0 || key+len(keyID) > len(data) || string(data[key:key+len(keyID)]) != keyID {
			continue
		}
		found++
		order.PutUint32(e, flagBucket)
	}
	require.Positive(t, found)
	got, err := verify(bytes.NewReader(data), int64(len(data)))
	require.ErrorContains(t, err, "no record", "commits %d, id %s: %v", img.commits, img.id, got)
}

// A page that says to be empty has no element whose place could show that it is not.
func TestVerifyFindsPagesEmptied(t *testing.T) {
	for _, nodes := range []int64{3, 300} { // in their bucket's value, and on pages of their own
		path, data := filled(t, nodes)
		want := readAll(t, path)
		broken := filepath.Join(t.TempDir(), "broken")
		order, found := binary.NativeEndian, 0
		for at := 2 * os.Getpagesize(); at+pageHeader < len(data); at++ {
			kind, count := order.Uint16(data[at+8:]), order.Uint16(data[at+10:])
			if kind != kindLeaf && kind != kindBranch || count == 0 || count > 1000 || order.Uint32(data[at+12:]) != 0 {
				continue // no page, most likely
			}
			order.PutUint16(data[at+10:], 0)
			if _, err := verify(bytes.NewReader(data), int64(len(data))); err != nil {
				found++
			} else { // nothing reads that
				require.NoError(t, os.WriteFile(broken, data, 0o600))
				require.Equal(t, want, readAll(t, broken), "byte %d", at)
			}
			order.PutUint16(data[at+10:], count)
		}
		require.Positive(t, found)
	}
}
