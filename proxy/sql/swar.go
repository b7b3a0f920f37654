package sql

import (
	"encoding/binary"
	"math/bits"
)

// Eight bytes at a time: every byte of a word holds a test of its own, with the answer in its top bit. Names are short and
// of every length, so that a loop over their bytes would cost more in mispredicted ends than in bytes.
const (
	ones = 0x0101010101010101
	tops = 0x80 * ones
	lows = 0x7f * ones
)

// load is the eight bytes at p[i], the first one lowest.
func load(p []byte, i int) uint64 { return binary.LittleEndian.Uint64(p[i:]) }

// nameEnds has the top bit of each byte of x that cannot go on in a name.
func nameEnds(x uint64) uint64 {
	y := x & lows // adding to a byte of y does not reach the next one
	letters := y | 0x20*ones
	letter := (letters + (0x80-'a')*ones) &^ (letters + (0x7f-'z')*ones)
	digit := (y + (0x80-'0')*ones) &^ (y + (0x7f-'9')*ones)
	neither := ((y ^ '_'*ones) + lows) & ((y ^ '$'*ones) + lows) // as a byte that is not 0 and lows have a top bit
	return tops & neither &^ (letter | digit | x)
}

// before has every bit of the bytes before the lowest one that ends marks.
func before(ends uint64) uint64 { return ends&-ends>>7 - 1 }

// nameEnd returns the end of the name that goes on at p[i], or len(p).
func nameEnd(p []byte, i int) int {
	for ; i+8 <= len(p); i += 8 {
		if ends := nameEnds(load(p, i)); ends != 0 {
			return i + bits.TrailingZeros64(ends)>>3
		}
	}
	for i < len(p) && classes[p[i]] >= classDigit {
		i++
	}
	return i
}

// quoteEnd returns the place of the first double quote from p[i] on, or len(p).
func quoteEnd(p []byte, i int) int {
	for ; i+8 <= len(p); i += 8 {
		x := load(p, i)
		if ends := tops &^ ((x&lows ^ '"'*ones) + lows | x); ends != 0 {
			return i + bits.TrailingZeros64(ends)>>3
		}
	}
	for i < len(p) && p[i] != '"' {
		i++
	}
	return i
}
