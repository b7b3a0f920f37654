package sql

import "bytes"

// kind is what sort a lexeme is of.
type kind uint8

// The kinds of lexemes.
const (
	kindEnd kind = iota
	kindName
	kindQuoted        // "…"
	kindUnicodeQuoted // U&"…"
	kindNumber
	kindString        // '…', also N'…'
	kindBits          // B'…' and X'…'
	kindEscape        // E'…'
	kindUnicodeString // U&'…'
	kindDollar        // $tag$…$tag$
	kindParam         // $1
	kindOperator      // a run of operator characters
	kindSymbol        // ( ) [ ] , ; . : and bytes with no place in SQL
	kindComment
)

// literal reports whether k is a string constant of some form.
func (k kind) literal() bool { return k >= kindString && k <= kindDollar }

// lexemes reads a whole text one lexeme after the other. It is for the few questions that need more than Scanner tells,
// and splits a text where Scanner does.
type lexemes struct {
	p      []byte
	i      int    // where the next lexeme is looked for
	kind   kind   // of the last one
	text   []byte // of the last one, with its quotes; a part of p
	broken bool   // the text is ambiguous, or the last lexeme has no end
}

// next reads the next lexeme that is no comment, and reports whether there is one.
func (l *lexemes) next() bool {
	for l.any() {
		if l.kind != kindComment {
			return true
		}
	}
	return false
}

// any reads the next lexeme, comments included, and reports whether there is one.
func (l *lexemes) any() bool {
	p, i := l.p, l.i
	for i < len(p) && classes[p[i]] == classSpace {
		i++
	}
	if i == len(p) {
		l.i, l.kind, l.text = i, kindEnd, nil
		return false
	}
	j := i + 1
	switch classes[p[i]] {
	case classLetter:
		j = l.word(i)
	case classDigit:
		j = l.number(i)
	case classDot:
		l.kind = kindSymbol
		if j < len(p) && classes[p[j]] == classDigit {
			j = l.number(i)
		} else if j < len(p) && p[j] == '.' { // the range of a loop
			j++
		}
	case classQuote:
		l.kind = kindString
		j = l.plain(i + 1)
	case classDoubleQuote:
		l.kind = kindQuoted
		j = l.doubled(i+1, '"')
	case classDollar:
		j = l.dollar(i)
	case classDash, classSlash, classSymbol:
		j = l.symbol(i)
	default:
		l.kind = kindSymbol
	}
	l.i, l.text = j, p[i:j]
	return true
}

// word reads the name at p[i], or the string or quoted name that it is the prefix of, and returns its end.
func (l *lexemes) word(i int) int {
	p, j := l.p, nameEnd(l.p, i)
	l.kind = kindName
	if j == len(p) || j > i+1 {
		return j
	}
	switch c := fold[p[i]]; {
	case c == 'u' && j+1 < len(p) && p[j] == '&' && p[j+1] == '\'':
		l.kind = kindUnicodeString
		return l.plain(j + 2)
	case c == 'u' && j+1 < len(p) && p[j] == '&' && p[j+1] == '"':
		l.kind = kindUnicodeQuoted
		return l.doubled(j+2, '"')
	case p[j] != '\'':
		return j
	case c == 'e':
		l.kind = kindEscape
		return l.escape(j + 1)
	case c == 'b' || c == 'x':
		l.kind = kindBits
		return l.doubled(j+1, '\'')
	case c == 'n':
		l.kind = kindString
		return l.plain(j + 1)
	}
	return j
}

// number reads the number at p[i] with the letters glued to it, and returns its end.
func (l *lexemes) number(i int) int {
	p, j := l.p, i+1
	l.kind = kindNumber
	based := p[i] == '0' && j < len(p) && bytes.IndexByte([]byte("xXoObB"), p[j]) >= 0
	for ; j < len(p); j++ {
		switch c := p[j]; classes[c] {
		case classDigit, classLetter:
		case classDot: // a range, 1..10, is two numbers' end
			if j+1 < len(p) && p[j+1] == '.' {
				return j
			}
		case classDash:
			if based || fold[p[j-1]] != 'e' {
				return j
			}
		case classSymbol:
			if c != '+' || based || fold[p[j-1]] != 'e' {
				return j
			}
		default:
			return j
		}
	}
	return j
}

// doubled reads from after the quote of a text in which only a doubled quote stands for itself, and returns its end.
func (l *lexemes) doubled(j int, quote byte) int {
	for p := l.p; ; j += 2 {
		if quote == '"' { // names are short
			j = quoteEnd(p, j)
		} else if n := bytes.IndexByte(p[j:], quote); n >= 0 {
			j += n
		} else {
			j = len(p)
		}
		if j == len(p) {
			l.broken = true
			return j
		}
		if j+1 == len(p) || p[j+1] != quote {
			return j + 1
		}
	}
}

// plain is doubled for strings whose end depends on standard_conforming_strings, if a backslash is before a quote.
func (l *lexemes) plain(j int) int {
	for p, begin := l.p, j; ; begin = j {
		n := bytes.IndexByte(p[j:], '\'')
		if n < 0 {
			l.broken = true
			return len(p)
		}
		j += n
		run := j
		for run > begin && p[run-1] == '\\' {
			run--
		}
		if (j-run)%2 == 1 {
			l.broken = true
			return len(p)
		}
		if j+1 == len(p) || p[j+1] != '\'' {
			return j + 1
		}
		j += 2
	}
}

// escape reads from after the quote of an escape string, and returns its end. A quote after white space with a line end
// goes on with the same string.
func (l *lexemes) escape(j int) int {
	p := l.p
	for j < len(p) {
		switch {
		case p[j] == '\\':
			if p[j-1] >= 0x80 && j+1 < len(p) && (p[j+1] == '\'' || p[j+1] == '\\') { // half a character, perhaps
				l.broken = true
				return len(p)
			}
			j += 2
		case p[j] != '\'':
			j++
		case j+1 < len(p) && p[j+1] == '\'':
			j += 2
		default:
			more := continued(p, j+1)
			if more == 0 {
				return j + 1
			}
			j = more
		}
	}
	l.broken = true
	return len(p)
}

// continued returns where a string goes on after the quote that white space with a line end leads to from p[j], or 0.
func continued(p []byte, j int) int {
	for newline := false; j < len(p); j++ {
		switch c := p[j]; {
		case classes[c] == classSpace:
			newline = newline || c == '\n' || c == '\r'
		case c == '-' && j+1 < len(p) && p[j+1] == '-':
			n := bytes.IndexAny(p[j:], "\r\n")
			if n < 0 {
				return 0
			}
			j += n - 1
		case c == '\'' && newline:
			return j + 1
		default:
			return 0
		}
	}
	return 0
}

// dollar reads the parameter or the dollar-quoted string at p[i], and returns its end.
func (l *lexemes) dollar(i int) int {
	p, j := l.p, i+1
	if j < len(p) && classes[p[j]] == classDigit {
		for j < len(p) && classes[p[j]] == classDigit {
			j++
		}
		l.kind = kindParam
		return j
	}
	for j < len(p) && classes[p[j]] >= classDigit && classes[p[j]] != classDollar {
		j++
	}
	if j == len(p) || p[j] != '$' {
		l.kind = kindSymbol
		return i + 1
	}
	l.kind = kindDollar
	tag := p[i : j+1]
	n := bytes.Index(p[j+1:], tag)
	if n < 0 || len(tag) > MaxName+2 {
		l.broken = true
		return len(p)
	}
	return j + 1 + n + len(tag)
}

// symbol reads the comment, the operator or the other symbol at p[i], and returns its end.
func (l *lexemes) symbol(i int) int {
	p, j, signs := l.p, i, true
	for ; j < min(len(p), i+MaxName+1) && operator[p[j]] != 0; j++ { // no server accepts a longer one
		if j+1 < len(p) && (p[j] == '-' && p[j+1] == '-' || p[j] == '/' && p[j+1] == '*') {
			break
		}
		signs = signs && operator[p[j]] != unsigned
	}
	switch {
	case j > i:
		l.kind = kindOperator
		for signs && j-i > 1 && (p[j-1] == '+' || p[j-1] == '-') {
			j--
		}
		return j
	case operator[p[i]] == 0:
		l.kind = kindSymbol
		return i + 1
	}
	l.kind = kindComment
	if p[i] == '-' {
		if n := bytes.IndexAny(p[i:], "\r\n"); n >= 0 {
			return i + n
		}
		return len(p)
	}
	return l.block(i + 2)
}

// block reads from after the beginning of a comment with others nested in it, and returns its end.
func (l *lexemes) block(j int) int {
	p := l.p
	for depth := 1; j+1 < len(p); j++ {
		switch {
		case p[j] == '*' && p[j+1] == '/':
			j++
			if depth--; depth == 0 {
				return j + 1
			}
		case p[j] == '/' && p[j+1] == '*':
			j++
			depth++
		}
	}
	l.broken = true
	return len(p)
}

// unsigned is what operator has for bytes with which an operator may end in + or -. After others those are signs.
const unsigned = 2

// operator has the bytes that operators consist of, and 0 for all others.
var operator = func() (t [256]uint8) {
	for _, c := range "+-*/<>=" {
		t[c] = 1
	}
	for _, c := range "~!@#^&|`?%" {
		t[c] = unsigned
	}
	return t
}()
