package sql

import "bytes"

// readString reads a plain string from after its quote. A doubled quote in it counts as two strings, which is the same.
//
// Where standard_conforming_strings is off a backslash escapes the quote. The two readings part at a quote that has an
// odd number of backslashes before it, and never come together again.
func (s *Scanner) readString(p []byte, i int) int {
	l := &s.text
	end := bytes.IndexByte(p[i:], '\'')
	body := p[i:]
	if end >= 0 {
		body = p[i : i+end]
	}
	run := len(body)
	for run > 0 && body[run-1] == '\\' {
		run--
	}
	odd := (len(body)-run)%2 == 1
	if run == 0 {
		odd = odd != l.odd
	}
	if end < 0 {
		l.odd = odd
		return len(p)
	}
	if odd {
		s.stop()
		return len(p)
	}
	l.state = ground
	return i + end + 1
}

// readEscape reads an escape string.
func (s *Scanner) readEscape(p []byte, i int) int {
	l := &s.text
	for ; i < len(p); i++ {
		switch c := p[i]; c {
		case '\'':
			l.state, l.gap, l.newline = afterEscape, false, false
			return i + 1
		case '\\':
			l.state = inBackslash
			return i + 1
		default:
			l.high = c >= 0x80
		}
	}
	return i
}

// readBackslash reads the byte after a backslash. If the byte before the backslash is not ASCII, the backslash may be
// the second half of a character in the client's encoding, and then escapes nothing.
func (s *Scanner) readBackslash(p []byte, i int) int {
	l := &s.text
	c := p[i]
	if l.high && (c == '\'' || c == '\\') {
		s.stop()
		return len(p)
	}
	l.state, l.high = inEscape, c >= 0x80
	return i + 1
}

// readAfterEscape reads what follows an escape string. A quote right there is a doubled one, and a quote after white
// space with a line end goes on with the same string.
func (s *Scanner) readAfterEscape(p []byte, i int) int {
	l := &s.text
	switch c := p[i]; {
	case c == '\'' && l.gap == l.newline:
		l.state, l.high = inEscape, false
		return i + 1
	case classes[c] == classSpace:
		l.gap = true
		l.newline = l.newline || c == '\n' || c == '\r'
		return i + 1
	case c == '-':
		l.gap = true
		l.state, l.resume = inDash, afterEscape
		return i + 1
	default:
		l.state = ground
		return i
	}
}

// beginQuoted reads a quoted name from after its first quote.
func (s *Scanner) beginQuoted(p []byte, i int) int {
	j := quoteEnd(p, i)
	if j+1 >= len(p) || p[j+1] == '"' {
		s.text.state, s.text.n = inQuoted, 0
		return i
	}
	s.quotedName(p[i:j])
	return s.peek(p, p[i:j], j+1, true)
}

// readQuoted reads on in a quoted name.
func (s *Scanner) readQuoted(p []byte, i int) int {
	l := &s.text
	j := quoteEnd(p, i)
	l.keep(p[i:j])
	if j == len(p) {
		return j
	}
	l.state = afterQuoted
	return j + 1
}

// readAfterQuoted tells a doubled quote in a quoted name from the one that ends it.
func (s *Scanner) readAfterQuoted(p []byte, i int) int {
	l := &s.text
	if p[i] == '"' {
		l.keep(p[i : i+1])
		l.state = inQuoted
		return i + 1
	}
	l.state = ground
	s.quotedName(l.buf[:l.n])
	return s.peek(p, l.buf[:l.n], i, true)
}

// readTag reads what follows a dollar: a digit makes it a parameter, a tag and a second dollar a string.
func (s *Scanner) readTag(p []byte, i int) int {
	l := &s.text
	for ; i < len(p); i++ {
		switch c := p[i]; classes[c] {
		case classDollar:
			if l.n > MaxName {
				s.stop()
				return len(p)
			}
			s.symbol('$', tokenOther)
			l.state, l.match = inDollar, 0
			return i + 1
		case classDigit:
			if l.n == 0 {
				l.state = inParam
				s.symbol('$', tokenOther)
				return i
			}
			l.keep(p[i : i+1])
		case classLetter:
			l.keep(p[i : i+1])
		default: // no server accepts a lone dollar, unless the tag goes on with a byte that only looks like ASCII
			if l.n > 0 && l.buf[l.n-1] >= 0x80 && trail(c) {
				s.stop()
				return len(p)
			}
			l.state = ground
			s.symbol('$', tokenOther)
			return i
		}
	}
	return i
}

// readDollar reads a dollar-quoted string up to the delimiter that began it. match counts the bytes of that delimiter,
// its first dollar included, that stand right before p[i].
func (s *Scanner) readDollar(p []byte, i int) int {
	l := &s.text
	for i < len(p) {
		if l.match == 0 {
			n := bytes.IndexByte(p[i:], '$')
			if n < 0 {
				return len(p)
			}
			i += n + 1
			l.match = 1
			continue
		}
		c := p[i]
		i++
		switch {
		case l.match <= l.n && c == l.buf[l.match-1]:
			l.match++
		case c == '$' && l.match == l.n+1:
			l.state = ground
			return i
		case c == '$':
			l.match = 1
		default:
			l.match = 0
		}
	}
	return i
}
