package sql

import "math/bits"

// skim reads tokens that decide nothing, from p[i] on in the body of a statement, and returns where the first one begins
// that may decide something or that it cannot see the end of. Most of most texts is read here, many bytes at a time; the
// rest of the scanner would read the same tokens to the same effect.
func (st *statement) skim(p []byte, i int) int {
	for i+8 < len(p) {
		j, w := i+1, wNone
		switch classes[p[i]] {
		case classSpace:
			i++
			continue
		case classLetter, classDoubleQuote:
			if p[i] == '"' {
				j = skimQuoted(p, i)
			} else {
				j, w = skimName(p, i)
			}
			if j == 0 || st.last == tokenUAmp {
				return i
			}
			if j = skimCall(p, j); j == 0 {
				return i
			}
			if st.last == tokenDot {
				w = wNone
			} else {
				st.qualifier, st.intro = unqualified, st.prev
			}
			st.prev, st.last = w, tokenName
			i = j
			continue
		case classDot:
			if st.last != tokenName {
				return i
			}
			st.qualifier, st.prev, st.last = foreign, wNone, tokenDot
			i++
			continue
		case classSymbol:
			if st.last == tokenU {
				return i
			}
		case classOpen:
			st.depth++
		case classClose:
			st.closes()
		case classDigit:
			if j = skimDigits(p, j); j == 0 {
				return i
			}
		default:
			return i
		}
		st.prev, st.last = wNone, tokenOther
		i = j
	}
	return i
}

// skimCall returns where the next token or a space begins after a name that ends before p[j], or 0 if it may be a call.
func skimCall(p []byte, j int) int {
	if classes[p[j]] > classSlash {
		return j
	}
	if p[j] == ' ' && j+1 < len(p) && classes[p[j+1]] > classSlash {
		return j + 1
	}
	return 0
}

// skimDigits returns the end of the digits from p[j] on, or 0 if the number may go on after them.
func skimDigits(p []byte, j int) int {
	for j < len(p) && classes[p[j]] == classDigit {
		j++
	}
	if j == len(p) || classes[p[j]] == classLetter || p[j] == '.' {
		return 0
	}
	return j
}

// The beginnings of names that decide something, as load and foldKey give them.
var (
	keyTemp        = wordKey([]byte(tempSchema))
	keyCatalog     = wordKey([]byte("pg_catal"))
	keySettings    = wordKey([]byte("pg_setti"))
	keyInformation = wordKey([]byte("informat"))
	keyExtension   = wordKey([]byte("extensio"))
	keyRecursive   = wordKey([]byte("recursiv"))
)

// skimName returns the end of the name at p[i], and the key word that it is, or 0 if it may decide something.
func skimName(p []byte, i int) (int, word) {
	x := load(p, i)
	folded := foldKey(x, ^uint64(0))
	if folded&(1<<(8*len(tempSchema))-1) == keyTemp {
		return 0, wNone
	}
	if ends := nameEnds(x); ends != 0 {
		n := bits.TrailingZeros64(ends) >> 3
		mask := before(ends)
		w := shortKeyword(folded & mask)
		if acting[w] || n == len("u") || x&mask&tops != 0 {
			return 0, wNone
		}
		return i + n, w
	}
	switch folded {
	case keyCatalog, keySettings, keyInformation, keyExtension, keyRecursive:
		return 0, wNone
	}
	j := nameEnd(p, i+8)
	if j == len(p) || p[j-1] >= 0x80 {
		return 0, wNone
	}
	return j, wNone
}

// skimQuoted returns the end of the quoted name at p[i], or 0 if it may decide something.
func skimQuoted(p []byte, i int) int {
	j := quoteEnd(p, i+1)
	if j+1 >= len(p) || p[j+1] == '"' {
		return 0
	}
	switch p[i+1] { // analyze, information_schema, pg_catalog, pg_temp
	case 'a', 'i', 'p':
		if j-i > len(tempSchema) {
			return 0
		}
	}
	return j + 1
}
