package sql

// state is what kind of token the text has stopped in.
type state uint8

// The states. From unfinished on, a text that ends there has a token without its end, which no server accepts.
const (
	ground      state = iota
	inWord            // a name; buf has its beginning
	inNumber          // a number, with whatever letters are glued to it
	inParam           // $1
	afterName         // white space or comments after a name that is in buf
	afterEscape       // white space or comments after E'…', which may go on after a line end
	inDash            // -
	inSlash           // /
	inLine            // -- …
	afterQuoted       // the second " of "…", which may be the first of a pair
	stopped           // the text is ambiguous; nothing more can be said

	unfinished
	inBlock  // /* …
	inString // '…
	inEscape // E'…
	inBackslash
	inQuoted // "…; buf has its beginning
	inTag    // $…; buf has its beginning
	inDollar // $tag$…; buf has the tag
)

// step reads p[i:], at least one byte of it unless the state changes, and returns where it stopped.
func (s *Scanner) step(p []byte, i int) int {
	switch s.text.state {
	case ground:
		return s.readGround(p, i)
	case inWord:
		return s.readWord(p, i)
	case inNumber:
		return s.readNumber(p, i)
	case inParam:
		return s.readParam(p, i)
	case afterName:
		return s.readAfterName(p, i)
	case afterEscape:
		return s.readAfterEscape(p, i)
	case inDash:
		return s.readSecond(p, i, '-', '-', inLine)
	case inSlash:
		return s.readSecond(p, i, '/', '*', inBlock)
	case inLine:
		return s.readLine(p, i)
	case inBlock:
		return s.readBlock(p, i)
	case inString:
		return s.readString(p, i)
	case inEscape:
		return s.readEscape(p, i)
	case inBackslash:
		return s.readBackslash(p, i)
	case inQuoted:
		return s.readQuoted(p, i)
	case afterQuoted:
		return s.readAfterQuoted(p, i)
	case inTag:
		return s.readTag(p, i)
	case inDollar:
		return s.readDollar(p, i)
	default:
		return len(p)
	}
}

// finish ends the token the text ends in.
func (s *Scanner) finish() {
	l := &s.text
	switch l.state {
	case inWord:
		s.name(l.buf[:l.n])
	case afterQuoted:
		s.quotedName(l.buf[:l.n])
	case inDash:
		s.symbol('-', tokenOther)
	case inSlash:
		s.symbol('/', tokenOther)
	}
	if l.state > unfinished { // not the empty query, even if it is all there is
		s.symbol(0, tokenOther)
		s.total.doubtful = true
	}
	l.state = ground
}

// stop gives up: the text may be read in two ways.
func (s *Scanner) stop() {
	s.total.ambiguous = true
	s.text.state = stopped
}

// readGround reads whole tokens for as long as they end inside p.
func (s *Scanner) readGround(p []byte, i int) int {
	for s.text.state == ground {
		if s.stmt.phase == phaseBody && !s.stmt.routine && !s.stmt.inside {
			i = s.stmt.skim(p, i)
		}
		if i == len(p) {
			return i
		}
		c := p[i]
		switch classes[c] {
		case classSpace:
			i++
		case classLetter:
			i = s.beginWord(p, i)
		case classDoubleQuote:
			i = s.beginQuoted(p, i+1)
		case classDigit:
			s.symbol(c, tokenOther)
			s.text.state, s.text.letter = inNumber, false
			i = s.readNumber(p, i+1)
		case classQuote:
			s.symbol(c, tokenOther)
			s.text.state, s.text.odd = inString, false
			i = s.readString(p, i+1)
		default:
			i = s.begin(p, i)
		}
	}
	return i
}

// begin reads the first byte of the other tokens: symbols, the end of the statement, and what may be a comment, a
// parameter or a dollar-quoted string.
func (s *Scanner) begin(p []byte, i int) int {
	l := &s.text
	switch c := p[i]; c {
	case '(':
		s.symbol(c, tokenOther)
		s.stmt.depth++
	case ')':
		s.symbol(c, tokenOther)
		s.stmt.closes()
	case '.':
		s.dot()
	case ';':
		if s.stmt.depth > 0 { // between the actions of CREATE RULE, or no server accepts the text
			s.symbol(c, tokenOther)
		} else {
			s.end()
		}
	case '-':
		l.state, l.resume = inDash, ground
	case '/':
		l.state, l.resume = inSlash, ground
	case '$':
		l.state, l.n = inTag, 0
	case '&':
		kind := tokenOther
		if s.stmt.last == tokenU {
			kind = tokenUAmp
		}
		s.symbol(c, kind)
	default:
		s.symbol(c, tokenOther)
	}
	return i + 1
}

// keep adds b to the name or tag in buf, up to what shows that it is too long.
func (l *lexer) keep(b []byte) { l.n += copy(l.buf[l.n:], b) }

// begins forgets what buf had and keeps b.
func (l *lexer) begins(b []byte) { l.n = copy(l.buf[:], b) }

// beginWord reads the name at p[i].
func (s *Scanner) beginWord(p []byte, i int) int {
	j := nameEnd(p, i+1)
	if j == len(p) {
		s.text.begins(p[i:j])
		s.text.state = inWord
		return j
	}
	return s.endWord(p, p[i:j], j)
}

// readWord reads on in a name that began in an earlier piece.
func (s *Scanner) readWord(p []byte, i int) int {
	l := &s.text
	j := nameEnd(p, i)
	l.keep(p[i:j])
	if j == len(p) {
		return j
	}
	l.state = ground
	return s.endWord(p, l.buf[:l.n], j)
}

// readParam reads the digits of a parameter. A name may follow at once.
func (s *Scanner) readParam(p []byte, i int) int {
	for ; i < len(p); i++ {
		if classes[p[i]] != classDigit {
			s.text.state = ground
			break
		}
	}
	return i
}

// readNumber reads on in a number. Letters that cannot belong to it are an error since PostgreSQL 15 and the beginning of
// a name before; no text should have them, so the scanner suspects what a query may do and does not look into them.
func (s *Scanner) readNumber(p []byte, i int) int {
	l := &s.text
	for ; i < len(p); i++ {
		c := p[i]
		switch classes[c] {
		case classDigit, classDot:
			l.letter = false
		case classLetter:
			l.letter = true
			if !numeral(c) {
				s.stmt.ask, s.stmt.ddl = true, true
			}
		default:
			l.state = ground
			if l.letter && c == '\'' { // an escape string to the older ones
				s.stop()
			}
			return i
		}
	}
	return i
}

// endWord reads the name b, which ends before p[i]; b may be in buf.
func (s *Scanner) endWord(p, b []byte, i int) int {
	if p[i] == '\'' && len(b) == 1 && fold[b[0]] == 'e' {
		s.symbol('\'', tokenOther)
		s.text.state, s.text.high = inEscape, false
		return i + 1
	}
	s.name(b)
	if b[len(b)-1] >= 0x80 && trail(p[i]) { // the name may go on, and be a call after all
		s.stmt.ask = true
	}
	return s.peek(p, b, i, false)
}

// peek looks from p[i] on for a parenthesis, which makes the name b a call. What it cannot see in p is left to
// readAfterName.
func (s *Scanner) peek(p, b []byte, i int, quoted bool) int {
	for ; i < len(p); i++ {
		class := classes[p[i]]
		if class == classSpace {
			continue
		}
		if class == classOpen {
			s.call(b, quoted)
			return i
		}
		if class > classSlash || i+1 < len(p) && p[i+1] != '-' && p[i+1] != '*' {
			return i
		}
		break
	}
	s.text.begins(b)
	s.text.quoted = quoted
	s.text.state = afterName
	return i
}

// readAfterName reads white space and comments after a name, as far as they go.
func (s *Scanner) readAfterName(p []byte, i int) int {
	l := &s.text
	switch c := p[i]; {
	case classes[c] == classSpace:
		return i + 1
	case c == '-':
		l.state, l.resume = inDash, afterName
		return i + 1
	case c == '/':
		l.state, l.resume = inSlash, afterName
		return i + 1
	case c == '(':
		s.call(l.buf[:l.n], l.quoted)
	}
	l.state = ground
	return i
}

// readSecond reads the byte after a dash or a slash: second begins a comment, and anything else is the next token.
func (s *Scanner) readSecond(p []byte, i int, first, second byte, comment state) int {
	l := &s.text
	if p[i] == second {
		l.state, l.depth, l.before = comment, 1, 0
		return i + 1
	}
	l.state = ground
	s.symbol(first, tokenOther)
	return i
}

// readLine reads a comment up to its line end, which it leaves.
func (s *Scanner) readLine(p []byte, i int) int {
	for ; i < len(p); i++ {
		if p[i] == '\n' || p[i] == '\r' {
			s.text.state = s.text.resume
			break
		}
	}
	return i
}

// readBlock reads a comment with others nested in it.
func (s *Scanner) readBlock(p []byte, i int) int {
	l := &s.text
	for ; i < len(p); i++ {
		c := p[i]
		if c != '*' && c != '/' {
			l.before = 0
			continue
		}
		switch {
		case c == '/' && l.before == '*':
			l.depth--
			l.before = 0
			if l.depth == 0 {
				l.state = l.resume
				return i + 1
			}
		case c == '*' && l.before == '/':
			l.depth++
			l.before = 0
		default:
			l.before = c
		}
	}
	return i
}
