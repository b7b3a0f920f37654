package difference

import "slices"

// ledger follows a conversation from the client's side and knows what the server still owes. It holds because a server
// reads its client's messages in order and answers each in a known way; only an error and COPY make it read over some.
type ledger struct {
	owed     []message // sent and not answered yet
	skipping bool      // the server reads over everything until a Sync
	copying  bool      // the server waits for copy data
}

// send enters a message that is sent now.
func (l *ledger) send(m message) {
	switch {
	case l.copying && endsCopy(m):
		l.copying = false
	case l.copying: // a Sync or a Flush means nothing to a server that waits for copy data
	case l.skipping && m.kind != "Sync":
	default:
		l.skipping = false
		l.owed = append(l.owed, m)
	}
}

func endsCopy(m message) bool { return m.kind == "CopyDone" || m.kind == "CopyFail" }

// silent messages are never answered.
func silent(m message) bool {
	return m.kind == "Flush" || m.kind == "CopyData" || endsCopy(m)
}

// head is what the server answers now; ok is false if it owes nothing.
func (l *ledger) head() (m message, ok bool) {
	for len(l.owed) > 0 && silent(l.owed[0]) {
		l.owed = l.owed[1:]
	}
	if len(l.owed) == 0 {
		return message{}, false
	}
	return l.owed[0], true
}

// answers says which message types complete the answer to each kind. ErrorResponse is in receive.
var answers = map[string]string{
	"Query": "Z", "FunctionCall": "Z", "Sync": "Z", "Parse": "1", "Bind": "2", "Close": "3", "Describe": "Tn", "Execute": "CIs",
}

// receive enters the type of a message that has come.
func (l *ledger) receive(typ byte) {
	m, ok := l.head()
	switch {
	case !ok:
	case typ == 'E':
		l.failed(m)
	case typ == 'G':
		l.startCopy()
	case slices.Contains([]byte(answers[m.kind]), typ):
		l.owed = l.owed[1:]
	}
}

// failed follows an error in the answer to m.
func (l *ledger) failed(m message) {
	l.copying = false
	if m.kind == "Query" || m.kind == "FunctionCall" || m.kind == "Sync" { // ReadyForQuery follows at once
		return
	}
	next := slices.IndexFunc(l.owed, func(m message) bool { return m.kind == "Sync" })
	if next < 0 {
		l.owed, l.skipping = nil, true
		return
	}
	l.owed = l.owed[next:]
}

// startCopy takes out what the server reads as part of the copy: all that was sent after the head, up to its end.
func (l *ledger) startCopy() {
	l.copying = true
	rest := l.owed[1:]
	for l.copying && len(rest) > 0 {
		l.copying = !endsCopy(rest[0])
		rest = rest[1:]
	}
	l.owed = append(l.owed[:1:1], rest...)
}

// waiting is true while an answer must come without anything more being sent: the server sends what it has when it is
// told to.
func (l *ledger) waiting() bool {
	if _, ok := l.head(); !ok {
		return false
	}
	last := -1
	for i, m := range l.owed {
		if m.kind == "Sync" || m.kind == "Query" || m.kind == "FunctionCall" || m.kind == "Flush" {
			last = i
		}
	}
	return slices.ContainsFunc(l.owed[:last+1], func(m message) bool { return !silent(m) })
}
