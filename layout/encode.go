package layout

import "encoding/binary"

const (
	alphabet32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	alphabet36 = "0123456789abcdefghijklmnopqrstuvwxyz"
	alphabet58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	alphabet62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// appendHex writes two words of eight digits each, a digit per byte.
func appendHex(dst []byte, v uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, hexDigits(v>>32))
	return binary.BigEndian.AppendUint64(dst, hexDigits(v&0xffffffff))
}

// hexDigits spreads the eight nibbles of a 32-bit value over the eight bytes of
// a word, in order, and turns each into its character. No byte ever carries into
// the next: 0xf + 6 is less than 0x20, and '0' + 0xf + 39 is 'f'.
func hexDigits(x uint64) uint64 {
	const ones = 0x0101010101010101
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & (0x0f * ones)
	letters := (x + 6*ones) >> 4 & ones
	return x + '0'*ones + letters*('a'-'0'-10)
}

// appendBase32 is written out: its digits do not depend on each other, which a
// loop hides from the processor.
func appendBase32(dst []byte, v uint64) []byte {
	return append(dst,
		alphabet32[v>>60&31], alphabet32[v>>55&31], alphabet32[v>>50&31], alphabet32[v>>45&31],
		alphabet32[v>>40&31], alphabet32[v>>35&31], alphabet32[v>>30&31], alphabet32[v>>25&31],
		alphabet32[v>>20&31], alphabet32[v>>15&31], alphabet32[v>>10&31], alphabet32[v>>5&31],
		alphabet32[v&31])
}

// The bases that are no power of two have a function each, because a division by
// a constant is a multiplication, and a division by a variable is not. Each cuts
// the number into pieces of four digits that fit 32 bits, and those into pairs, so
// that no digit waits for more than four divisions.

func appendBase36(dst []byte, v uint64) []byte {
	const square, cut = 36 * 36, 36 * 36 * 36 * 36
	hi, mid, lo := uint32(v/cut/cut), uint32(v/cut%cut), uint32(v%cut)
	return append(dst,
		alphabet36[hi/(square*square)], alphabet36[hi/(square*36)%36], alphabet36[hi/square%36], alphabet36[hi%square/36], alphabet36[hi%36],
		alphabet36[mid/square/36], alphabet36[mid/square%36], alphabet36[mid%square/36], alphabet36[mid%square%36],
		alphabet36[lo/square/36], alphabet36[lo/square%36], alphabet36[lo%square/36], alphabet36[lo%square%36])
}

func appendBase58(dst []byte, v uint64) []byte {
	const square, cut = 58 * 58, 58 * 58 * 58 * 58
	hi, mid, lo := uint32(v/cut/cut), uint32(v/cut%cut), uint32(v%cut)
	return append(dst,
		alphabet58[hi/square], alphabet58[hi%square/58], alphabet58[hi%58],
		alphabet58[mid/square/58], alphabet58[mid/square%58], alphabet58[mid%square/58], alphabet58[mid%square%58],
		alphabet58[lo/square/58], alphabet58[lo/square%58], alphabet58[lo%square/58], alphabet58[lo%square%58])
}

func appendBase62(dst []byte, v uint64) []byte {
	const square, cut = 62 * 62, 62 * 62 * 62 * 62
	hi, mid, lo := uint32(v/cut/cut), uint32(v/cut%cut), uint32(v%cut)
	return append(dst,
		alphabet62[hi/square], alphabet62[hi%square/62], alphabet62[hi%62],
		alphabet62[mid/square/62], alphabet62[mid/square%62], alphabet62[mid%square/62], alphabet62[mid%square%62],
		alphabet62[lo/square/62], alphabet62[lo/square%62], alphabet62[lo%square/62], alphabet62[lo%square%62])
}
