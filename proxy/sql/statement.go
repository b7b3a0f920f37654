package sql

// token is what kind of token was read last, as far as the next one depends on it.
type token uint8

// The tokens.
const (
	tokenOther  token = iota
	tokenName         // a name, unless it is one of the next two
	tokenServer       // a schema of the server itself
	tokenU            // U, which begins U&"…"
	tokenUAmp         // U and &
	tokenDot
)

// qualifier is what stands before a name and a dot.
type qualifier uint8

// The qualifiers.
const (
	unqualified qualifier = iota
	server                // a schema of the server itself
	foreign
)

// statement is what has been read of one statement.
type statement struct {
	command   Command
	phase     phase
	prev      word      // the token before this point, if a key word
	last      token     // the token before this point
	qualifier qualifier // of the last name
	intro     word      // the token before the last name and its qualifiers, if a key word
	started   bool      // there was a token
	txControl bool
	ask       bool
	writes    bool
	analyze   bool // ANALYZE was read, which makes EXPLAIN run its statement
	config    bool // in set_config, and not yet known to be local
	ddl       bool
	currval   bool
	routine   bool // CREATE FUNCTION or CREATE PROCEDURE
	inside    bool // a part of such a one that was counted already
	nested    int  // BEGIN ATOMIC without their END
	residue   Residue
	undo      Residue
	sets      bool
	settings  bool   // pg_settings was named: a rule makes its UPDATE a SET
	selects   uint64 // depths at which there was a SELECT; the last bit is for all that are deeper
	depth     int    // parentheses open
	inConfig  int    // depth inside the parentheses of set_config
	commas    int    // in set_config
}

// exempting has the words after which a name and a parenthesis are no call: INSERT INTO users (…), AS t (…),
// WITH [RECURSIVE] t (…), COPY users (…), PREPARE p (…).
var exempting = [wordCount]bool{wInto: true, wAs: true, wWith: true, wRecursive: true, wCopy: true, wPrepare: true}

// name reads the unquoted name or key word b.
func (s *Scanner) name(b []byte) {
	st := &s.stmt
	w := wNone
	if st.last != tokenDot {
		w = keyword(b)
		st.qualifier, st.intro = unqualified, st.prev
	}
	if (st.routine || st.inside) && s.atomic(w) {
		return
	}
	if st.phase != phaseBody {
		st.advance(w)
	}
	if acting[w] {
		st.body(w)
	}
	st.prev, st.last = w, tokenName
	switch len(b) {
	case len("u"):
		if b[0] == 'u' || b[0] == 'U' {
			st.last = tokenU
		}
	case len("pg_settings"):
		st.settings = st.settings || equalFold(b, "pg_settings")
	case len("pg_catalog"), len("information_schema"):
		if equalFold(b, "pg_catalog") || equalFold(b, "information_schema") {
			st.last = tokenServer
		}
	}
	if len(b) >= len(tempSchema) && b[2] == '_' && equalFold(b[:len(tempSchema)], tempSchema) {
		st.residue |= TempTable
	}
}

// atomic reads the word w in CREATE FUNCTION or CREATE PROCEDURE, whose body may be BEGIN ATOMIC … END, and reports
// whether it begins or ends that body. The statements of the body each have a semicolon, so that an END which begins one
// is the end of the body. They are read like others, but not counted.
func (s *Scanner) atomic(w word) bool {
	st := &s.stmt
	switch {
	case st.routine && w == wAtomic && st.prev == wBegin && st.depth == 0:
		st.nested++
		s.end()
	case st.nested > 0 && w == wEnd && !st.started:
		st.nested--
		st.started, st.command, st.phase = true, Ddl, phaseBody
	default:
		return false
	}
	return true
}

// tempSchema begins the name of every schema of temporary objects: pg_temp, pg_temp_3.
const tempSchema = "pg_temp"

// quotedName reads the quoted name b, which is in the case it was written in.
func (s *Scanner) quotedName(b []byte) {
	st := &s.stmt
	if st.last != tokenDot {
		st.qualifier, st.intro = unqualified, st.prev
		if st.last == tokenUAmp { // it may spell any name
			st.ask = true
		}
	}
	if st.phase != phaseBody {
		st.other('"')
	}
	st.prev, st.last = wNone, tokenName
	switch {
	case string(b) == "pg_settings":
		st.settings = true
	case string(b) == "pg_catalog" || string(b) == "information_schema":
		st.last = tokenServer
	case len(b) >= len(tempSchema) && b[0] == 'p' && string(b[:len(tempSchema)]) == tempSchema:
		st.residue |= TempTable
	}
	if st.command == Explain && string(b) == "analyze" {
		st.analyze = true
	}
}

// call reads that a parenthesis opens after the name b, which was read last.
func (s *Scanner) call(b []byte, quoted bool) {
	st := &s.stmt
	if exempting[st.intro] {
		return
	}
	kind := functionOf(b, quoted)
	if kind == fnKeyword || kind == fnEither {
		if !quoted && st.qualifier == unqualified {
			return
		}
		if kind == fnKeyword {
			kind = fnUnknown
		}
	}
	if st.qualifier == foreign {
		st.ask = true
	}
	switch kind {
	case fnReads, fnEither:
	case fnUnknown:
		st.ask = true
	case fnAdvisory:
		st.residue |= AdvisoryLock
	case fnUnlock:
		st.undo |= AdvisoryLock
	case fnSequence:
		st.residue |= Sequence
	case fnCurrval:
		st.residue |= Sequence
		st.currval = true
	case fnSetting:
		st.residue |= Setting
	case fnLoad:
		st.residue |= Load
	case fnConfig:
		st.openConfig()
	case fnWrites:
		st.writes = true
	}
}

// openConfig follows the arguments of set_config from its parenthesis on, to see whether the third is TRUE.
func (st *statement) openConfig() {
	st.writes, st.sets = true, true
	if st.config { // one at a time: an inner or a lost one counts as not local
		st.residue |= Setting
	}
	st.config, st.inConfig, st.commas = true, st.depth+1, 0
	st.phase = phaseConfig
}

// symbol reads a token that is no name: an operator, a parenthesis, a number, a string. c is its first byte.
func (s *Scanner) symbol(c byte, kind token) {
	st := &s.stmt
	if st.phase != phaseBody {
		st.other(c)
	}
	st.prev = wNone
	st.last = kind
}

// dot reads a dot. A name before it qualifies the name after it.
func (s *Scanner) dot() {
	st := &s.stmt
	st.qualifier = foreign
	switch st.last {
	case tokenName, tokenU:
	case tokenServer:
		st.qualifier = server
	default:
		st.intro = wNone
	}
	s.symbol('.', tokenDot)
}

// end closes the statement, if there is one, and adds it to the total.
func (s *Scanner) end() {
	st, t := &s.stmt, &s.total
	if !st.started {
		return
	}
	if st.command == Empty {
		st.command = Other
	}
	if st.config || (st.settings && (st.writes || st.command == Update)) {
		st.residue |= Setting
	}
	if !st.inside {
		t.statements++
		if t.statements == 1 {
			t.first, t.phase = st.command, st.phase
		}
	}
	t.residue |= st.residue
	t.undo |= st.undo | st.residue&(Setting|AdvisoryLock) // a new value hides the old one; a try may show the lock is gone
	t.ask = t.ask || st.ask
	t.ddl = t.ddl || st.ddl || st.command == Ddl
	t.currval = t.currval || st.currval
	t.sets = t.sets || st.sets || (st.residue|st.undo)&Setting != 0 || st.command == Set
	t.writes = t.writes || !st.reads()
	switch st.command {
	case Begin, Commit, Rollback:
		t.txControl = true
	default:
		t.txControl = t.txControl || st.txControl
	}
	*st = statement{inside: st.nested > 0, nested: st.nested}
}

// reads reports whether the statement surely only reads.
func (st *statement) reads() bool {
	if st.ask || st.residue|st.undo != 0 {
		return false
	}
	switch st.command {
	case Select, Values, Table, With:
		return !st.writes
	case Show, Fetch:
		return true
	case Explain:
		return !st.analyze
	default:
		return false
	}
}
