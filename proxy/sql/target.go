package sql

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Target returns the prepared statement that a text is about. ok is true only if the text is exactly one statement that
// begins as DEALLOCATE [PREPARE] name, EXECUTE name or PREPARE name does, c saying which, and its name is certain; name
// is then as a server whose encoding is UTF-8 keeps it. For DEALLOCATE ALL all is true and name is nil. What follows the
// name of EXECUTE and PREPARE is left to the server. name may be a part of text.
func Target(text []byte) (c Command, name []byte, all, ok bool) {
	l := lexemes{p: text}
	c = l.first()
	switch c {
	case Deallocate, Execute, Prepare:
		l.next()
	default:
		return c, nil, false, false
	}
	if c == Deallocate && l.kind == kindName && equalFold(l.text, "prepare") {
		if rest := l; rest.next() && rest.kind != kindSymbol {
			l = rest
		}
	}
	all = c == Deallocate && l.kind == kindName && equalFold(l.text, "all")
	if !all {
		if name, ok = l.columnID(); !ok {
			return c, nil, false, false
		}
	}
	l.next()
	switch {
	case c == Deallocate || c == Execute && l.kind != kindSymbol:
		ok = l.ends()
	case c == Execute:
		ok = l.text[0] == '(' || l.ends()
	default:
		ok = l.kind == kindName && equalFold(l.text, "as") || l.kind == kindSymbol && l.text[0] == '('
	}
	if !ok || l.broken {
		return c, nil, false, false
	}
	return c, name, all, true
}

// DiscardsAll reports whether text is exactly one statement, DISCARD ALL.
func DiscardsAll(text []byte) bool {
	l := lexemes{p: text}
	if l.first() != Discard || !l.next() || l.kind != kindName || !equalFold(l.text, "all") {
		return false
	}
	l.next()
	return l.ends()
}

// first reads the first word of the first statement and returns its command, or Other.
func (l *lexemes) first() Command {
	for l.next() {
		if l.kind == kindName {
			if c := heads[keyword(l.text)].command; c != Empty {
				return c
			}
			return Other
		}
		if l.kind != kindSymbol || l.text[0] != ';' {
			return Other
		}
	}
	return Empty
}

// ends reports whether nothing but semicolons and comments is left of the text from the last lexeme on.
func (l *lexemes) ends() bool {
	for l.kind == kindSymbol && l.text[0] == ';' {
		l.next()
	}
	return l.kind == kindEnd && !l.broken
}

// columnID returns the last lexeme as the server keeps it where the grammar has ColId, a name that is no reserved word.
func (l *lexemes) columnID() (name []byte, ok bool) {
	switch {
	case l.broken || !utf8.Valid(l.text):
		return nil, false
	case l.kind == kindQuoted:
		name = l.text[1 : len(l.text)-1]
		if bytes.Contains(name, []byte(`""`)) {
			name = bytes.ReplaceAll(name, []byte(`""`), []byte(`"`))
		}
		return truncate(name), len(name) > 0
	case l.kind == kindName:
		name = lower(l.text)
		return truncate(name), !reserved[string(name)]
	}
	return nil, false
}

// lower returns b with its ASCII letters in lower case; b itself, if they are.
func lower(b []byte) []byte {
	for i, c := range b {
		if fold[c] != c {
			b = bytes.Clone(b)
			for j := i; j < len(b); j++ {
				b[j] = fold[b[j]]
			}
			break
		}
	}
	return b
}

// truncate cuts name to what the server keeps of it, between two characters.
func truncate(name []byte) []byte {
	if len(name) <= MaxName {
		return name
	}
	n := MaxName
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// reservedWords are the words that pg_get_keywords of PostgreSQL 15 calls reserved or type_func_name, and the one that
// came with PostgreSQL 16.
const reservedWords = `
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning
right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user
using variadic verbose when where window with
`

// reserved has the key words that cannot name a prepared statement in some version of the server.
var reserved = func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(reservedWords) {
		words[word] = true
	}
	return words
}()

// Prepares returns where in a text the statement begins that it prepares. ok is true only if the text is exactly one statement, PREPARE name
// … AS statement.
func Prepares(text []byte) (at int, ok bool) {
	if c, _, _, ok := Target(text); !ok || c != Prepare || Scan(text).Statements != 1 {
		return 0, false
	}
	l := lexemes{p: text}
	l.first()
	l.next() // the name
	l.next()
	for depth := 0; l.kind == kindSymbol || depth > 0; l.next() {
		switch {
		case l.kind == kindEnd:
			return 0, false
		case l.kind == kindSymbol && l.text[0] == '(':
			depth++
		case l.kind == kindSymbol && l.text[0] == ')':
			depth--
		}
	}
	if l.broken || l.kind != kindName || !equalFold(l.text, "as") {
		return 0, false
	}
	return l.i, true
}
