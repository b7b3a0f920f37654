package sql

// Scanner reads SQL text once, in any chunking, and says what the text may do to the session that runs it. The zero
// value is ready. It is not safe for concurrent use.
type Scanner struct {
	text  lexer     // where in a token the text is
	stmt  statement // the statement being read
	total totals    // the statements already read
}

// lexer is where in a token the text given so far has stopped.
type lexer struct {
	state   state
	resume  state // where a comment goes back to
	n       int   // bytes in buf
	depth   int   // block comments open
	match   int   // bytes of the closing delimiter seen in a dollar-quoted string
	before  byte  // the byte of */ or /* already seen in a block comment
	odd     bool  // in a plain string: the backslashes right before this point are odd in number
	high    bool  // in an escape string: the last byte before this point, or its backslash, is not ASCII
	letter  bool  // the last byte of a number was a letter
	gap     bool  // white space was seen after an escape string
	newline bool  // a line end was seen after an escape string
	quoted  bool  // the name in buf was quoted

	buf [MaxName + 1]byte // a name or a dollar-quote tag that may go on; full means too long
}

// totals is what the statements already read add up to.
type totals struct {
	first      Command
	statements int
	phase      phase // where the first statement ended
	residue    Residue
	undo       Residue
	txControl  bool
	ask        bool
	ddl        bool
	currval    bool
	sets       bool
	writes     bool // some statement does not surely only read
	doubtful   bool // some byte's validity depends on the server's version or encoding
	ambiguous  bool
}

// Reset makes s ready for a new text.
func (s *Scanner) Reset() { *s = Scanner{} }

// Feed reads the next bytes of the text; any chunking gives the same result. It keeps no reference to p.
func (s *Scanner) Feed(p []byte) {
	for i := 0; i < len(p); {
		i = s.step(p, i)
	}
	if s.mayBePlain() {
		s.total.doubtful = s.total.doubtful || doubtful(p)
	}
}

// Result ends the last statement and says what the text may do. After it only Reset may follow, or Result, which returns
// the same again.
func (s *Scanner) Result() Result {
	s.finish()
	s.end()
	t := &s.total
	if t.statements == 0 && t.doubtful {
		t.statements, t.first, t.writes = 1, Other, true
	}
	r := Result{First: t.first, Statements: t.statements}
	if t.ambiguous {
		r.Residue, r.Undo = AllResidue, AllResidue
		r.TxControl, r.Ask, r.Ddl, r.Currval, r.Sets, r.Ambiguous = true, true, true, true, true, true
		return r
	}
	r.Residue, r.Undo = t.residue, t.undo
	r.TxControl, r.Ask, r.Ddl, r.Currval, r.Sets = t.txControl, t.ask, t.ddl, t.currval, t.sets
	r.ReadOnly = t.statements > 0 && !t.writes
	if t.statements == 1 && !t.doubtful {
		r.Deferrable = t.first == Begin && t.phase.endsBegin()
		r.PlainBegin = r.Deferrable && t.phase != phaseMode
		r.PlainEnd = (t.first == Commit || t.first == Rollback) && t.phase.endsEnd()
	}
	return r
}

// Scan is Reset, Feed and Result on a Scanner of its own. It does not allocate.
func Scan(text []byte) Result {
	var s Scanner
	s.Feed(text)
	return s.Result()
}

// mayBePlain reports whether the text so far may turn out to be one plain BEGIN, COMMIT or ROLLBACK.
func (s *Scanner) mayBePlain() bool {
	command := s.stmt.command
	switch s.total.statements {
	case 0:
	case 1:
		if command != Empty {
			return false
		}
		command = s.total.first
	default:
		return false
	}
	return command <= Rollback
}

// doubtful reports whether p has a byte that some servers refuse: NUL, vertical tab, or one that is not ASCII and so
// may be no valid character.
func doubtful(p []byte) bool {
	for _, c := range p {
		if c >= 0x80 || c == 0 || c == '\v' {
			return true
		}
	}
	return false
}
