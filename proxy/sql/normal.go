package sql

import (
	"slices"
	"strconv"
)

const (
	// maxNormal is the longest result of Normal: one that a page can still show, and half a megabyte for all statements that are told apart.
	maxNormal = 1 << 10

	// folded stands for the rest of a list of IN, as PostgreSQL 18 writes it.
	folded = " /*, ... */"
)

// Normal is text without what its user typed, in the form of pg_stat_statements: each literal is $n, counted on from the highest parameter, comments are gone,
// and of a list of IN that has only literals and parameters the first is left, with a mark. TRUE, FALSE and NULL stay. Values that SET gives to a setting are literals
// however they are written. White space is one space. What is behind a point from which text may be read in two ways, or has a lexeme without its end, and what
// is beyond 1 KiB, is left out; … stands for it. The result is fit to be shown.
func Normal(text []byte) string {
	n := normal{sequence: sequence{lexemes: lexemes{p: text}}, param: highestParam(text)}
	n.write()
	shown := Shown(string(n.out), maxNormal)
	if n.broken {
		shown += "…"
	}
	return shown
}

// normal writes a text for Normal.
type normal struct {
	sequence
	out   []byte
	param int    // the last that stands for a literal, or the highest of the text
	head  []byte // the first word of the statement
	set   setting
}

// setting is where in SET name = value a text is.
type setting uint8

const (
	noSetting     setting = iota
	settingName           // the name comes
	settingEquals         // = or TO comes, or a point and more of the name
	settingValue          // the value comes
	settingMore           // a comma and another value may come
)

// write writes up to the end of the text or what ends it before, or a little beyond maxNormal.
func (n *normal) write() {
	for len(n.out) <= maxNormal && n.next() && !n.broken {
		n.lexeme()
	}
}

// highestParam is the highest parameter of a text that a server would take.
func highestParam(text []byte) (highest int) {
	for l := (lexemes{p: text}); l.next(); {
		if l.kind != kindParam {
			continue
		}
		if n, err := strconv.Atoi(string(l.text[1:])); err == nil && n <= 1<<16 {
			highest = max(highest, n)
		}
	}
	return highest
}

// lexeme writes the last lexeme, or what stands for it.
func (n *normal) lexeme() {
	value := n.assigned()
	switch {
	case n.kind.literal() && n.before.literal(): // it goes on with the string before it, or no server takes it
	case n.kind.literal(), n.kind == kindNumber, value:
		n.constant()
	case n.kind == kindOperator && n.sign(): // of the number that comes
		n.gap()
	default:
		n.gap()
		n.out = append(n.out, n.text[:min(len(n.text), maxNormal+1)]...)
	}
	if n.kind == kindSymbol && n.text[0] == ';' {
		n.head, n.set = nil, noSetting
	} else if n.head == nil {
		n.head = n.text
	}
	opens := n.kind == kindSymbol && n.text[0] == '(' && n.before == kindName && equalFold(n.previous, "in")
	n.passed()
	if opens {
		n.fold()
	}
}

// gap writes a space where there was white space or a comment before the last lexeme.
func (n *normal) gap() {
	if start := n.i - len(n.text); len(n.out) > 0 && start > n.end && n.out[len(n.out)-1] != ' ' {
		n.out = append(n.out, ' ')
	}
}

// constant writes a parameter in the place of the last lexeme. Nothing may grow together with it.
func (n *normal) constant() {
	n.gap()
	if last := len(n.out) - 1; last >= 0 && classes[n.out[last]] >= classDigit {
		n.out = append(n.out, ' ')
	}
	n.param++
	n.out = strconv.AppendInt(append(n.out, '$'), int64(n.param), 10)
	if n.i < len(n.p) && classes[n.p[n.i]] >= classDigit && classes[n.p[n.i]] != classDollar {
		n.out = append(n.out, ' ')
	}
}

// fold writes the elements of IN (…), up to its end, as one, if there are more and they are literals and parameters alone.
func (n *normal) fold() {
	rest, elements, due := n.sequence, 0, true
	for rest.next() && !rest.broken && !(rest.kind == kindSymbol && rest.text[0] == ')') {
		switch {
		case rest.kind == kindSymbol && rest.text[0] == ',' && !due:
			due = true
		case rest.kind == kindOperator && due && rest.sign():
		case due && (rest.kind == kindNumber || rest.kind.literal() || rest.kind == kindParam):
			elements, due = elements+1, false
		case rest.kind.literal() && rest.before.literal():
		default:
			return
		}
		rest.passed()
	}
	if rest.kind != kindSymbol || rest.broken || due || elements < 2 {
		return
	}
	n.param++
	n.out = append(strconv.AppendInt(append(n.out, '$'), int64(n.param), 10), folded...)
	rest.i -= len(")")
	n.sequence = rest
}

// assigned reads on in SET name = value, and reports whether the last lexeme is a value that is written as a name.
func (n *normal) assigned() bool {
	word := n.kind == kindName || n.kind == kindQuoted || n.kind == kindUnicodeQuoted
	switch {
	case n.set == settingValue && word && !equalFold(n.text, "default"), n.set == settingMore && word && equalFold(n.head, "set"):
		n.set = settingMore
		return true
	case n.set == settingValue && (n.kind == kindOperator || n.kind == kindSymbol && n.text[0] != ';'): // a sign, or no server takes it
	case n.set == settingValue:
		n.set = settingMore
	case n.set == settingMore && n.kind == kindSymbol && n.text[0] == ',':
		n.set = settingValue
	case n.set == settingMore && equalFold(n.head, "set"):
	case n.set == settingEquals && (n.kind == kindOperator && n.text[0] == '=' || n.kind == kindName && equalFold(n.text, "to")):
		n.set = settingValue
	case n.set == settingEquals && n.kind == kindSymbol && n.text[0] == '.':
		n.set = settingName
	case n.set == settingName && n.kind == kindName && (equalFold(n.text, "local") || equalFold(n.text, "session")):
	case n.set == settingName && word:
		n.set = settingEquals
	case n.kind == kindName && equalFold(n.text, "set") && (n.head == nil || slices.ContainsFunc(setters, func(w string) bool { return equalFold(n.head, w) })):
		n.set = settingName
	default:
		n.set = noSetting
	}
	return false
}

// setters are the first words of statements that have SET name = value further on.
var setters = []string{"alter", "create"}
