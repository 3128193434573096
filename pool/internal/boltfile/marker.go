package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
)

// The marker, PATH.id, is text of one fixed form, so that an operator can read it:
//
//	byte    0  what it is
//	byte  512  slot: id, commits, inode, process, turn, checksum
//	byte 1024  slot
//
// The slots are written in turn, each within one sector of the disk, and the later
// turn counts: a crash in the middle spoils one, and the other is the older truth.
const (
	markerTitle = "easyflake store marker 1: keep this file where it is, beside its store; do not copy or edit it\n"
	markerSlot  = 512
	markerSize  = 3 * markerSlot
	slotFormat  = "id=%s commits=%020d inode=%020d pid=%010d turn=%020d"
)

// mark is what the marker says.
type mark struct {
	id      string
	commits uint64
	inode   uint64 // of the store; 0 where the system has none
	pid     int    // who has it to write; 0 when it is closed
	turn    uint64
}

// marker is the marker, open.
type marker struct {
	file *os.File
	mark
	slot int // the one that the mark is in
}

// What a marker can be, other than valid.
var (
	errNoMark       = errors.New("the marker is empty")
	errMarkDamaged  = errors.New("the marker is damaged")
	errMarkForeign  = errors.New("what lies where the marker belongs is something else")
	errSlotUnusable = errors.New("unusable")
)

// read reads what the marker says.
func (m *marker) read() error {
	data, err := io.ReadAll(io.NewSectionReader(m.file, 0, markerSize+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the marker: %w", err)
	case len(bytes.Trim(data, "\x00")) == 0:
		return errNoMark // a crash of the machine may leave zeros
	case !bytes.HasPrefix(data, []byte(markerTitle)):
		return errMarkForeign
	case len(data) != markerSize:
		return errMarkDamaged
	}
	found := false
	for slot := 1; slot <= 2; slot++ {
		got, err := parseSlot(data[slot*markerSlot : (slot+1)*markerSlot])
		if err == nil && (!found || got.turn > m.turn) {
			m.mark, m.slot, found = got, slot, true
		}
	}
	if !found {
		return errMarkDamaged
	}
	return nil
}

func parseSlot(data []byte) (mark, error) {
	var m mark
	text, sum, ok := strings.Cut(strings.TrimRight(string(data), " \n"), " crc=")
	if !ok || sum != slotChecksum(text) {
		return m, errSlotUnusable
	}
	if _, err := fmt.Sscanf(text, slotFormat, &m.id, &m.commits, &m.inode, &m.pid, &m.turn); err != nil {
		return m, errSlotUnusable
	}
	return m, nil
}

func slotChecksum(text string) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text)))
}

func (m mark) slotText() []byte {
	text := fmt.Sprintf(slotFormat, m.id, m.commits, m.inode, m.pid, m.turn)
	text += " crc=" + slotChecksum(text)
	return fmt.Appendf(nil, "%-*s\n", markerSlot-1, text)
}

// begin makes the marker what next says, and durable.
func (m *marker) begin(next mark) error {
	next.turn = m.turn + 1
	data := fmt.Appendf(nil, "%-*s\n", markerSlot-1, markerTitle)
	data = append(data, next.slotText()...)
	data = append(data, next.slotText()...)
	_, err := m.file.WriteAt(data, 0)
	if err == nil {
		err = m.file.Truncate(markerSize)
	}
	if err != nil {
		return fmt.Errorf("writing the marker: %w", err)
	}
	m.mark, m.slot = next, 1
	return m.sync()
}

// write notes what next says, without waiting for the disk.
func (m *marker) write(next mark) error {
	next.turn = m.turn + 1
	slot := 3 - m.slot
	if _, err := m.file.WriteAt(next.slotText(), int64(slot)*markerSlot); err != nil {
		return fmt.Errorf("writing the marker: %w", err)
	}
	m.mark, m.slot = next, slot
	return nil
}

// sign notes who has the store, 0 for nobody.
func (m *marker) sign(pid int) error {
	next := m.mark
	next.pid = pid
	return m.write(next)
}

func (m *marker) sync() error {
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("writing the marker: %w", err)
	}
	return nil
}
