package sql

import "strings"

// Result says what a text may do to the session that runs it. It is a plain value and may be kept and compared.
//
// The sure statements (Deferrable, PlainBegin, PlainEnd, ReadOnly) are never true by mistake. The suspicions
// (TxControl, Residue, Undo, Ask, Ddl, Currval, Ambiguous) may be raised for a text that turns out harmless.
type Result struct {
	// First is the command of the first statement that is not empty, or Empty.
	First Command

	// Statements counts the statements that are not empty; ";;" and comments are. Zero is surely the empty query: a text
	// of comments alone counts as a statement, Other, if it has no end or bytes that some server refuses. Of a text that
	// is Ambiguous only what was read counts.
	Statements int

	// Deferrable: the text is one BEGIN or START TRANSACTION that is surely valid and cannot fail on a primary or a
	// standby. Its modes, if any, are among ISOLATION LEVEL READ COMMITTED, READ UNCOMMITTED or REPEATABLE READ,
	// READ ONLY and NOT DEFERRABLE.
	Deferrable bool

	// PlainBegin: Deferrable and without any mode.
	PlainBegin bool

	// PlainEnd: the text is one COMMIT, END, ROLLBACK or ABORT, with at most WORK or TRANSACTION and AND NO CHAIN.
	// First tells Commit from Rollback.
	PlainEnd bool

	// TxControl: some statement begins or ends a transaction, or handles a prepared one. Savepoints do not count.
	TxControl bool

	// Residue is what surely or probably stays behind in the server's session.
	Residue Residue

	// Undo is what surely or probably is gone from the session afterwards: UNLISTEN, CLOSE, DROP, DEALLOCATE, DISCARD,
	// RESET, an advisory lock or its unlocking. A setting that is changed is in both, Residue and Undo.
	Undo Residue

	// Ask: something may stay behind, or be gone, that only the server knows: DO, CALL, a function that is not known to
	// be harmless.
	Ask bool

	// Ddl: some statement may change what other statements mean or return: the command Ddl, and SELECT INTO.
	Ddl bool

	// Sets: a setting is changed, be it for the transaction or for the session: SET, RESET, DISCARD, set_config.
	Sets bool

	// Currval: currval or lastval is called, which reads the session's memory of sequences.
	Currval bool

	// ReadOnly: every statement surely only reads. False for the empty query.
	ReadOnly bool

	// Ambiguous: standard_conforming_strings decides where a string in the text ends, and the scanner does not know
	// it. The other fields then already say the worst: every suspicion is raised, and no sure statement is made.
	Ambiguous bool
}

// Residue is a set of the things a statement may leave in the session of its server.
type Residue uint16

// The residues, one bit each.
const (
	// Prepared: SQL PREPARE, not PREPARE TRANSACTION.
	Prepared Residue = 1 << iota
	// Setting: a setting of the session rather than of the transaction, SET ROLE and SESSION AUTHORIZATION included.
	Setting
	// TempTable: a temporary table, view or sequence, or any mention of the schema pg_temp.
	TempTable
	// AdvisoryLock: an advisory lock that outlives its transaction.
	AdvisoryLock
	// Listen: LISTEN.
	Listen
	// Cursor: a cursor WITH HOLD.
	Cursor
	// Sequence: the session's memory of sequences, read or written: nextval, setval, currval, lastval.
	Sequence
	// Load: a library loaded into the server, a dblink connection opened from it, the seed of random(), a replication origin, a
	// backup, a temporary slot.
	Load

	// AllResidue has every bit set.
	AllResidue = 1<<iota - 1
)

// residueNames is in the order of the bits.
var residueNames = [...]string{
	"prepared", "setting", "temp_table", "advisory_lock", "listen", "cursor", "sequence", "load",
}

// String returns the names of the bits joined by commas, lowest bit first, and "" for the empty set. The name of a
// single bit is a metric label.
func (r Residue) String() string {
	var names []string
	for i, name := range residueNames {
		if r&(1<<i) == 0 {
			continue
		}
		if r == 1<<i {
			return name
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}
