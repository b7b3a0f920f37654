package sql

import (
	"slices"
	"strings"
)

// maxCalled is the longest result of Called: a line that can be read.
const maxCalled = 200

// Called says in a few words which statement text is, so that it can be found in a program: its command, the first table that it names, and
// the tags of its comment, as in
//
//	update orders, controller=checkout, action=pay
//
// No literal and no parameter is in it. It is "" for a text that names no table and has no tags.
func Called(text []byte) string {
	l := lexemes{p: text}
	command := l.first()
	name := command.String()
	if command == Ddl || command == Maintenance { // each is many
		name = strings.ToLower(string(l.text))
	}
	table := l.table(command)
	var out strings.Builder
	for key, value := range Tags(text) {
		out.WriteString(", ")
		out.Write(key)
		out.WriteByte('=')
		out.Write(value)
		if out.Len() > maxCalled {
			break
		}
	}
	if table == "" && out.Len() == 0 {
		return ""
	}
	if table != "" {
		name += " " + table
	}
	return Shown(name+out.String(), maxCalled)
}

// beforeTable are the words after which a table stands, in any statement or as the first word.
var (
	beforeTable = []string{"from", "into", "join"}
	firstBefore = []string{"update", "copy", "table", "lock", "alter", "drop", "truncate", "create", "vacuum", "analyze", "cluster", "reindex", "refresh"}
	skipped     = []string{"only", "lateral", "table", "index", "view", "materialized", "if", "not", "exists", "concurrently", "full", "verbose", "unique"}
)

// table returns the first table named from the last lexeme on, which is the statement's first: outside of parentheses if there is one.
func (l *lexemes) table(command Command) string {
	inner, depth := "", 0
	due := command != Empty && slices.ContainsFunc(firstBefore, func(w string) bool { return equalFold(l.text, w) })
	for l.next() {
		switch {
		case l.kind == kindSymbol && l.text[0] == '(':
			depth, due = depth+1, false
		case l.kind == kindSymbol && l.text[0] == ')':
			depth, due = depth-1, false
		case l.kind == kindSymbol && l.text[0] == ';':
			return inner
		case l.kind == kindName && slices.ContainsFunc(beforeTable, func(w string) bool { return equalFold(l.text, w) }):
			due = true
		case due && l.kind == kindName && slices.ContainsFunc(skipped, func(w string) bool { return equalFold(l.text, w) }):
		case due && (l.kind == kindName || l.kind == kindQuoted):
			due = false
			if name := l.qualified(); depth <= 0 {
				return name
			} else if inner == "" {
				inner = name
			}
		default:
			due = false
		}
	}
	return inner
}

// qualified returns the name that begins with the last lexeme, with what follows by dots.
func (l *lexemes) qualified() string {
	name := string(l.text)
	for rest := *l; rest.next() && rest.kind == kindSymbol && rest.text[0] == '.' && rest.next() && (rest.kind == kindName || rest.kind == kindQuoted); {
		*l = rest
		name += "." + string(l.text)
	}
	return name
}
