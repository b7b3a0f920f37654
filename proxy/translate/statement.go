package translate

import (
	"bytes"
	"strings"
	"sync/atomic"
	"unique"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// Statement is one text with its parameter types, as a Parse gives them. One with a Name has the same name on every server; one
// without was seen once and is prepared as a server's unnamed statement. It does not change but for Held and its description.
type Statement struct {
	Name   string // on servers; "": none
	Body   string // text \0 count, types: a Parse after its name
	Under  Parsing
	Age    Age
	Scan   sql.Result // of the text
	Print  uint64     // its fingerprint
	Shared bool       // others with the same text may have it, too

	// Held is how many clients' names mean it; while there is one it is not forgotten.
	Held atomic.Int32

	description
}

// Parsing is what decides how the server reads a text: the settings that can change the meaning of a statement from
// Parse on. Statements are shared only between sessions that agree in it, because the time zone, for one, is in the
// constants of a statement that was prepared under it.
type Parsing = unique.Handle[string]

// Age says since which changes of the database a statement is what it is. A client that prepares a text after one gets a new
// statement; those who have prepared it before go on with the old, and PostgreSQL tells them when its result has changed.
type Age uint64

// StatementPrefix begins the names of the guard's statements on servers.
const StatementPrefix = "__pgguard_"

// Library keeps the statements of all clients. Any goroutine may call its methods, which copy what they keep.
type Library interface {
	// Named returns the statement for a named Parse with this body; nil if there is no room for it.
	Named(body []byte, under Parsing, at Age) *Statement
	// Unnamed returns the statement for an unnamed Parse: one with a name if the text comes again.
	Unnamed(body []byte, under Parsing, at Age) *Statement
	// Private returns a statement with a name of its own that nobody else will be given, whether there is room for it or not.
	Private(body []byte, at Age) *Statement
	// HasRoom is true if there is room for a statement of this body.
	HasRoom(body []byte) bool
	// Count notes that a client's name means a statement that is not shared, or that none does any more.
	Count(st *Statement, held bool)
	// Look returns what the text of a simple query may do, and its fingerprint; 0 if that is not known.
	Look(text []byte) (sql.Result, uint64)
}

// NewStatement returns a statement without a name that is not shared. The body is copied.
func NewStatement(body []byte, under Parsing) *Statement {
	st := new(Statement)
	st.Read(body, under)
	return st
}

// Read makes st, which must be zero, the statement of this body.
func (st *Statement) Read(body []byte, under Parsing) {
	st.Body, st.Under, st.Scan = string(body), under, scanBody(body)
	st.Print = sql.Fingerprint(st.Text())
}

// Shareable is true for a statement whose result the server describes alike for every session. FETCH, EXECUTE and CALL
// depend on what a name means in the session at the time of their Parse.
func (st *Statement) Shareable() bool {
	switch st.Scan.First {
	case sql.Select, sql.Insert, sql.Update, sql.Delete, sql.Merge, sql.Values, sql.Table, sql.With, sql.Show,
		sql.Begin, sql.Commit, sql.Rollback:
		return st.Scan.Statements == 1
	}
	return false
}

// Text is the statement's SQL: a copy.
func (st *Statement) Text() []byte {
	text, _, _ := bytes.Cut([]byte(st.Body), []byte{0})
	return text
}

func scanBody(body []byte) sql.Result {
	text, _, ok := wire.CString(body)
	if !ok {
		text = body
	}
	return sql.Scan(text)
}

// Bodies of statements of the guard's own.
const (
	// emptyBody is a Parse of the empty text without parameters.
	emptyBody = "\x00\x00\x00"

	// goneText takes the place of a statement that cannot be prepared any more: its name is taken, and to plan it, which EXECUTE, EXPLAIN
	// and Bind do, is an error.
	goneText = "select ('guard: statement cannot be prepared any more'::pg_catalog.text)::pg_catalog.int4"
)

// gone is the body of a Parse of what takes the place of st, with as many parameters.
func (st *Statement) gone() string {
	_, types, ok := strings.Cut(string(st.appendAgain(nil)), "\x00")
	if !ok {
		types = "\x00\x00"
	}
	return goneText + "\x00" + types
}

// takenStatement stands on a server for a name that the client has used already.
var takenStatement = &Statement{Name: StatementPrefix + "taken", Body: emptyBody}

// staleName is no statement: a Bind of it is an error, which is turned into the one about a changed result.
const staleName = StatementPrefix + "stale"

// failingName is a statement that is prepared in a transaction that has failed, and closed at once.
const failingName = StatementPrefix + "failing"

// NameSize is the longest name PostgreSQL keeps (NAMEDATALEN less one), in bytes.
const NameSize = 63

// clip cuts a statement's name as PostgreSQL does.
func clip(name []byte) []byte { return name[:min(len(name), NameSize)] }
