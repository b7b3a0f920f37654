package replay

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Statement is one that was logged when it had ended.
type Statement struct {
	Application string
	Begin       time.Time
	Took        time.Duration
	Text        string
	Args        []*string // of $1, $2, …; nil is NULL
	Extended    bool      // it came by the extended protocol
}

// Reads is true for a statement that changes nothing, as far as its first word says.
func (s *Statement) Reads() bool {
	word, _, _ := strings.Cut(strings.TrimLeft(s.Text, " \t\r\n("), " ")
	switch strings.ToUpper(strings.TrimSpace(word)) {
	case "SELECT", "SHOW", "VALUES", "TABLE":
		return true
	}
	return false
}

// Session is what one connection sent, in its order.
type Session struct {
	ID         string
	Statements []Statement
}

// Log is what can be played again, and what cannot.
type Log struct {
	Sessions []Session // by when they began
	// Skipped are lines about statements that cannot be played: durations without a text, COPY from a client, fetches from a portal.
	Skipped int
}

// Span is from the first statement's begin to the last one's end.
func (l *Log) Span() (from, to time.Time) {
	for _, s := range l.Sessions {
		for _, st := range s.Statements {
			if from.IsZero() || st.Begin.Before(from) {
				from = st.Begin
			}
			if end := st.Begin.Add(st.Took); end.After(to) {
				to = end
			}
		}
	}
	return from, to
}

// OnlyReads is the log without what may change something, and without the transactions around it.
func (l *Log) OnlyReads() *Log {
	out := &Log{Skipped: l.Skipped}
	for _, s := range l.Sessions {
		reads := Session{ID: s.ID}
		for _, st := range s.Statements {
			if st.Reads() {
				reads.Statements = append(reads.Statements, st)
			} else {
				out.Skipped++
			}
		}
		if len(reads.Statements) > 0 {
			out.Sessions = append(out.Sessions, reads)
		}
	}
	return out
}

var (
	aDuration  = regexp.MustCompile(`(?s)^duration: ([0-9.]+) ms(?:  (statement|parse|bind|execute)(?: ([^:]*))?: (.*))?$`)
	fromClient = regexp.MustCompile(`(?is)^\s*copy\s.*\sfrom\s+stdin`)
	anArgument = regexp.MustCompile(`(?s)^\$(\d+) = (NULL|'((?:[^']|'')*)')(?:, |$)`)
)

// line is what is of interest of a line of a log.
type line struct {
	at                             time.Time
	session, database, application string
	message, detail                string
}

// kind is what a line is about.
type kind int

const (
	other   kind = iota // no statement that has ended
	plain               // one that can be played
	step                // of one that is logged again when it is executed
	skipped             // one that cannot be played
)

// statement reads a line.
func (l *line) statement() (s Statement, k kind) {
	m := aDuration.FindStringSubmatch(l.message)
	if m == nil {
		return s, other
	}
	how, name, text := m[2], m[3], m[4]
	millis, err := strconv.ParseFloat(m[1], 64)
	switch {
	case how == "parse" || how == "bind":
		return s, step
	case err != nil || how == "" || strings.HasPrefix(name, "fetch from ") || fromClient.MatchString(text):
		return s, skipped
	}
	took := time.Duration(millis * float64(time.Millisecond))
	s = Statement{Application: l.application, Begin: l.at.Add(-took), Took: took, Text: text, Extended: how == "execute"}
	args, whole := arguments(l.detail)
	if !whole {
		return s, skipped
	}
	s.Args = args
	return s, plain
}

// arguments reads the detail of a line: parameters: $1 = 'text', $2 = NULL.
func arguments(detail string) (args []*string, whole bool) {
	_, rest, found := strings.Cut(detail, "arameters: ")
	if !found {
		return nil, detail == ""
	}
	for rest != "" {
		m := anArgument.FindStringSubmatch(rest)
		if m == nil || m[1] != strconv.Itoa(len(args)+1) {
			return nil, false
		}
		var value *string
		if m[2] != "NULL" {
			text := strings.ReplaceAll(m[3], "''", "'")
			value = &text
		}
		args = append(args, value)
		rest = rest[len(m[0]):]
	}
	return args, true
}
