package sql

import "math/bits"

// Fingerprint is equal for texts that differ only in
//
//   - literals: numbers with their sign, and strings of every form. TRUE, FALSE and NULL stay.
//   - the number of literals or parameters in IN (…), and of rows in VALUES that differ only in literals, parameters,
//     TRUE, FALSE, NULL and DEFAULT. Parameters after such a list count from where a list of one would end.
//   - white space, comments, empty statements, and the letter case of unquoted names.
//
// It is different for all others, but for a chance of one in 2^64 or so. It does not allocate. It is the same in every
// process, but may change with this package.
func Fingerprint(text []byte) uint64 {
	f := fingerprint{sequence: sequence{lexemes: lexemes{p: text}}}
	for f.next() {
		f.lexeme()
	}
	if f.broken {
		f.sum = mix(f.sum, 1)
	}
	return mix(f.sum, 0)
}

// fingerprint reads a text for Fingerprint.
type fingerprint struct {
	sequence
	sum       uint64
	semicolon bool // one was read after a lexeme, and nothing since

	depth int     // parentheses open
	lists [8]list // those open; deeper ones are not folded
	open  int
	shift int // parameters dropped
	past  int // the highest of them
}

// mix adds x to the sum h.
func mix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^0xa0761d6478bd642f, x^0xe7037ed1a0b428db) // the constants of wyhash
	return bits.RotateLeft64(hi^lo, 17) + h
}

// lexeme adds the last lexeme.
func (f *fingerprint) lexeme() {
	if f.kind == kindSymbol && f.text[0] == ';' {
		f.semicolon, f.open, f.depth = f.before != kindEnd, 0, 0
		return
	}
	if f.semicolon {
		f.semicolon = false
		f.sum = mix(f.sum, ';')
	}
	if f.open > 0 && f.top().passed(f.kind, f.text[0]) {
		f.pop()
	}
	switch {
	case f.kind == kindNumber:
		f.constant(literalSum)
	case f.kind.literal():
		if !f.continues() {
			f.constant(literalSum)
		}
	case f.kind == kindParam:
		f.param()
	case f.kind == kindOperator && f.sign():
		return
	case f.kind == kindName && f.open > 0 && f.top().values && isValue(f.text):
		f.constant(f.lexemeSum())
	case f.kind == kindSymbol:
		f.symbol(f.text[0])
	default:
		f.add(f.lexemeSum())
	}
	f.passed()
}

// literalSum stands for every literal, and in the elements of lists for every parameter.
const literalSum = uint64(kindString)

// lexemeSum tells the last lexeme from all others: its kind and its bytes, or if those are more than seven a hash.
func (f *fingerprint) lexemeSum() uint64 {
	start, isName := f.i-len(f.text), f.kind == kindName
	var h uint64
	for ; f.i-start > 7; start += 7 {
		h = mix(h, lower8(word8(f.p, start, 7), isName))
	}
	x := lower8(word8(f.p, start, f.i-start), isName) | uint64(f.kind)<<56
	if h == 0 {
		return x
	}
	return mix(h, x)
}

// word8 is the n bytes of p from i on, at most seven, the first one lowest.
func word8(p []byte, i, n int) uint64 {
	if i+8 <= len(p) {
		return load(p, i) & (1<<(8*n) - 1)
	}
	var x uint64
	for j := n - 1; j >= 0; j-- {
		x = x<<8 | uint64(p[i+j])
	}
	return x
}

// lower8 is x; with the ASCII letters among its bytes in lower case, if so asked.
func lower8(x uint64, yes bool) uint64 {
	if !yes {
		return x
	}
	y := x & lows
	upper := (y + (0x80-'A')*ones) &^ (y + (0x7f-'Z')*ones) & tops &^ x
	return x | upper>>2
}

// add adds x to the sums of the text and of the element it is in.
func (f *fingerprint) add(x uint64) {
	f.sum = mix(f.sum, x)
	if f.open > 0 {
		l := f.top()
		l.element = mix(l.element, x)
	}
}

// constant adds x to the sum of the text, and a constant to that of the element it is in.
func (f *fingerprint) constant(x uint64) {
	f.sum = mix(f.sum, x)
	if f.open > 0 {
		l := f.top()
		l.element = mix(l.element, literalSum)
	}
}

// param adds a parameter.
func (f *fingerprint) param() {
	n := 0
	for _, c := range f.text[1:] {
		n = n*10 + int(c-'0')
	}
	if f.open > 0 {
		l := f.top()
		l.params++
		l.highest = max(l.highest, n)
	}
	if n > f.past {
		n -= f.shift
	}
	f.constant(mix(uint64(kindParam), uint64(n)))
}

// isValue reports whether the word b is a value that a row of VALUES may have in the place of a literal.
func isValue(b []byte) bool {
	switch len(b) {
	case len("null"): // and true
		return equalFold(b, "null") || equalFold(b, "true")
	case len("false"):
		return equalFold(b, "false")
	case len("default"):
		return equalFold(b, "default")
	}
	return false
}

// symbol adds a symbol. Parentheses and commas begin and end lists and their elements.
func (f *fingerprint) symbol(c byte) {
	in := f.open > 0 && f.top().depth == f.depth // in an element, and in no parentheses of it
	switch {
	case c == '(':
		f.add('(')
		f.depth++
		f.list()
	case c == ')' && in:
		if l := f.top(); l.values {
			f.sum = mix(f.sum, ')')
			f.keep(l.element == l.last)
			l.gap = ')'
		} else {
			f.keep(l.element == oneLiteral && l.last == oneLiteral && !l.mixed)
			f.pop()
			f.add(')')
		}
		f.depth--
	case c == ')':
		f.depth--
		f.add(')')
	case c == ',' && in && !f.top().values:
		l := f.top()
		f.keep(l.element == oneLiteral && l.last == oneLiteral && !l.mixed)
		f.sum = mix(f.sum, ',')
	case c == ',' && f.open > 0 && f.top().gap == ')':
		f.top().gap = ','
		f.sum = mix(f.sum, ',')
	default:
		f.add(f.lexemeSum())
	}
}
