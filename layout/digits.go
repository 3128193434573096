package layout

import "math"

// digitSet is what reading an encoding takes.
type digitSet struct {
	name  string
	width uint8 // 0: any width
	base  uint8
	// limit is the largest value that another digit can follow in an int64.
	limit  uint64
	values *digitValues
}

// digitValues holds the value of a character plus one; 0 says that the character
// is no digit.
type digitValues [256]uint8

// The tables of this file are never written.

var digitSets = [numEncodings]digitSet{
	Decimal: {"decimal", 0, 10, math.MaxInt64 / 10, &decimalDigits},
	Hex:     {"hex", 16, 16, math.MaxInt64 / 16, &hexDigitValues},
	Base32:  {"base32", 13, 32, math.MaxInt64 / 32, &base32Digits},
	Base36:  {"base36", 13, 36, math.MaxInt64 / 36, &base36Digits},
	Base58:  {"base58", 11, 58, math.MaxInt64 / 58, &base58Digits},
	Base62:  {"base62", 11, 62, math.MaxInt64 / 62, &base62Digits},
}

var decimalDigits = digitValues{
	'0': 1, '1': 2, '2': 3, '3': 4, '4': 5, '5': 6, '6': 7, '7': 8, '8': 9, '9': 10,
}

var hexDigitValues = digitValues{
	'0': 1, '1': 2, '2': 3, '3': 4, '4': 5, '5': 6, '6': 7, '7': 8, '8': 9, '9': 10,
	'A': 11, 'B': 12, 'C': 13, 'D': 14, 'E': 15, 'F': 16, 'a': 11, 'b': 12, 'c': 13, 'd': 14,
	'e': 15, 'f': 16,
}

var base32Digits = digitValues{
	'0': 1, '1': 2, '2': 3, '3': 4, '4': 5, '5': 6, '6': 7, '7': 8, '8': 9, '9': 10,
	'A': 11, 'B': 12, 'C': 13, 'D': 14, 'E': 15, 'F': 16, 'G': 17, 'H': 18, 'I': 2, 'J': 19,
	'K': 20, 'L': 2, 'M': 21, 'N': 22, 'O': 1, 'P': 23, 'Q': 24, 'R': 25, 'S': 26, 'T': 27,
	'V': 28, 'W': 29, 'X': 30, 'Y': 31, 'Z': 32, 'a': 11, 'b': 12, 'c': 13, 'd': 14, 'e': 15,
	'f': 16, 'g': 17, 'h': 18, 'i': 2, 'j': 19, 'k': 20, 'l': 2, 'm': 21, 'n': 22, 'o': 1,
	'p': 23, 'q': 24, 'r': 25, 's': 26, 't': 27, 'v': 28, 'w': 29, 'x': 30, 'y': 31, 'z': 32,
}

var base36Digits = digitValues{
	'0': 1, '1': 2, '2': 3, '3': 4, '4': 5, '5': 6, '6': 7, '7': 8, '8': 9, '9': 10,
	'A': 11, 'B': 12, 'C': 13, 'D': 14, 'E': 15, 'F': 16, 'G': 17, 'H': 18, 'I': 19, 'J': 20,
	'K': 21, 'L': 22, 'M': 23, 'N': 24, 'O': 25, 'P': 26, 'Q': 27, 'R': 28, 'S': 29, 'T': 30,
	'U': 31, 'V': 32, 'W': 33, 'X': 34, 'Y': 35, 'Z': 36, 'a': 11, 'b': 12, 'c': 13, 'd': 14,
	'e': 15, 'f': 16, 'g': 17, 'h': 18, 'i': 19, 'j': 20, 'k': 21, 'l': 22, 'm': 23, 'n': 24,
	'o': 25, 'p': 26, 'q': 27, 'r': 28, 's': 29, 't': 30, 'u': 31, 'v': 32, 'w': 33, 'x': 34,
	'y': 35, 'z': 36,
}

var base58Digits = digitValues{
	'1': 1, '2': 2, '3': 3, '4': 4, '5': 5, '6': 6, '7': 7, '8': 8, '9': 9, 'A': 10,
	'B': 11, 'C': 12, 'D': 13, 'E': 14, 'F': 15, 'G': 16, 'H': 17, 'J': 18, 'K': 19, 'L': 20,
	'M': 21, 'N': 22, 'P': 23, 'Q': 24, 'R': 25, 'S': 26, 'T': 27, 'U': 28, 'V': 29, 'W': 30,
	'X': 31, 'Y': 32, 'Z': 33, 'a': 34, 'b': 35, 'c': 36, 'd': 37, 'e': 38, 'f': 39, 'g': 40,
	'h': 41, 'i': 42, 'j': 43, 'k': 44, 'm': 45, 'n': 46, 'o': 47, 'p': 48, 'q': 49, 'r': 50,
	's': 51, 't': 52, 'u': 53, 'v': 54, 'w': 55, 'x': 56, 'y': 57, 'z': 58,
}

var base62Digits = digitValues{
	'0': 1, '1': 2, '2': 3, '3': 4, '4': 5, '5': 6, '6': 7, '7': 8, '8': 9, '9': 10,
	'A': 11, 'B': 12, 'C': 13, 'D': 14, 'E': 15, 'F': 16, 'G': 17, 'H': 18, 'I': 19, 'J': 20,
	'K': 21, 'L': 22, 'M': 23, 'N': 24, 'O': 25, 'P': 26, 'Q': 27, 'R': 28, 'S': 29, 'T': 30,
	'U': 31, 'V': 32, 'W': 33, 'X': 34, 'Y': 35, 'Z': 36, 'a': 37, 'b': 38, 'c': 39, 'd': 40,
	'e': 41, 'f': 42, 'g': 43, 'h': 44, 'i': 45, 'j': 46, 'k': 47, 'l': 48, 'm': 49, 'n': 50,
	'o': 51, 'p': 52, 'q': 53, 'r': 54, 's': 55, 't': 56, 'u': 57, 'v': 58, 'w': 59, 'x': 60,
	'y': 61, 'z': 62,
}
