package sql

// acting has the words that body does something about.
var acting = [wordCount]bool{
	wInsert: true, wUpdate: true, wDelete: true, wMerge: true, wInto: true, wShare: true, wNo: true, wKey: true,
	wSelect: true, wCreate: true, wExecute: true, wAnalyze: true, wAnalyse: true, wHold: true, wExtension: true,
}

// body reads an acting key word wherever in the statement it stands.
func (st *statement) body(w word) {
	switch w {
	case wInsert, wUpdate, wDelete, wMerge:
		st.writes = true
	case wSelect:
		st.selects |= 1 << min(max(st.depth, 0), 63)
	case wInto: // SELECT … INTO makes a table, also as SELECT insert INTO
		if st.prev != wInsert && st.prev != wMerge || st.selects>>min(max(st.depth, 0), 63)&1 != 0 {
			st.writes, st.ask, st.ddl = true, true, true
			st.phase = phaseInto
		}
	case wShare:
		st.writes = st.writes || st.prev == wFor || st.prev == wKey
	case wNo, wKey:
		st.writes = st.writes || st.prev == wFor
	case wCreate:
		st.writes, st.ask, st.ddl = true, true, true
		st.phase = phaseCreate
	case wExecute: // what was prepared is in another text
		st.ask = true
	case wAnalyze, wAnalyse:
		st.analyze = true
	case wHold:
		if st.prev == wWith && st.command == Declare {
			st.residue |= Cursor
		}
	case wExtension:
		st.ask = st.ask || st.command == Ddl
	}
}

// closes reads a closing parenthesis. What SELECT stood in it is no longer one that INTO may belong to.
func (st *statement) closes() {
	if 0 < st.depth && st.depth < 63 {
		st.selects &^= 1 << st.depth
	}
	st.depth--
}

// advance reads a name where the phase depends on it: w, or wNone for a name that is no key word.
func (st *statement) advance(w word) {
	switch st.phase {
	case phaseHead, phaseParens:
		st.open(w)
	case phaseEnd, phaseEndWork:
		st.phase = transitions[st.phase][w]
		if w == wTo && st.command == Rollback {
			st.command = Savepoint
		}
	case phasePrepare:
		if w == wTransaction {
			st.txControl = true
			st.phase = phasePrepared
			return
		}
		st.leave(Prepared)
	case phasePrepared: // a statement named transaction
		st.leave(Prepared)
	case phaseSet:
		if w == wLocal || w == wTransaction || w == wConstraints {
			st.phase = phaseLocal
			return
		}
		st.leave(Setting)
	case phaseLocal:
		st.phase = phaseBody
		if w == wTo || w == wFrom { // SET LOCAL TO, a setting of that name
			st.leave(Setting)
		}
	case phaseCreate, phaseInto:
		switch w {
		case wTemp, wTemporary:
			st.leave(TempTable)
		case wOr, wReplace, wLocal, wGlobal:
		default:
			st.phase = phaseBody
			st.routine = w == wFunction || w == wProcedure
		}
	case phaseConfigThird:
		st.phase = phaseConfig
		if w == wTrue {
			st.phase = phaseConfigTrue
		}
	case phaseConfig, phaseConfigTrue:
		st.phase = phaseConfig
	default:
		st.phase = transitions[st.phase][w]
	}
}

// leave notes a residue and that the rest of the statement decides nothing more about it.
func (st *statement) leave(r Residue) {
	st.residue |= r
	st.phase = phaseBody
}

// open reads the first word of the statement.
func (st *statement) open(w word) {
	st.started = true
	h := heads[w]
	if h.command == Empty {
		h.command, h.phase = Other, phaseBody
	}
	if st.phase == phaseParens {
		h.phase = phaseBody
	}
	st.command, st.phase, st.residue, st.ask = h.command, h.phase, h.residue, h.ask
	st.undo = undoes[w]
}

// other reads a token that is no unquoted name where the phase depends on it. c is its first byte.
func (st *statement) other(c byte) {
	switch st.phase {
	case phaseHead, phaseParens:
		st.started = true
		st.phase = phaseParens
		if c != '(' {
			st.command, st.phase = Other, phaseBody
		}
	case phaseMode:
		st.phase = phaseBody
		if c == ',' {
			st.phase = phaseComma
		}
	case phasePrepare: // a quoted name
		st.leave(Prepared)
	case phasePrepared:
		st.phase = phaseBody
		if c != '\'' {
			st.leave(Prepared)
		}
	case phaseSet:
		st.leave(Setting)
	case phaseLocal: // SET LOCAL.x, a setting whose first name is a key word
		st.phase = phaseBody
		if c != '"' {
			st.leave(Setting)
		}
	case phaseConfig, phaseConfigThird, phaseConfigTrue:
		st.argument(c)
	default:
		st.phase = phaseBody
	}
}

// argument reads a token inside the parentheses of set_config.
func (st *statement) argument(c byte) {
	sure := st.phase == phaseConfigTrue
	st.phase = phaseConfig
	if st.depth != st.inConfig {
		return
	}
	switch c {
	case ',':
		st.commas++
		if st.commas == 2 {
			st.phase = phaseConfigThird
		}
	case ')':
		if !sure {
			st.residue |= Setting
		}
		st.config = false
		st.phase = phaseBody
	}
}
