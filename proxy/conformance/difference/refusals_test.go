package difference

import (
	"regexp"
	"slices"
	"strings"
)

// refusals follow what becomes of a step that a guard may refuse, in whole or in part.
type refusals struct {
	step    step
	refused map[int]bool // the messages, by number
	forgets map[int]bool // those at which the unnamed statement has gone
	ready   bool         // the ReadyForQuery of what was refused comes next
	mute    bool         // it comes once a Sync is sent
}

// theGuards are the errors with which a guard refuses. PostgreSQL's own have a routine.
var theGuards = regexp.MustCompile(`^E S=ERROR V=ERROR C=(53300|53400|53000|57014) M=`)

// take is told a line that comes to what l has, and says whether it is of a refusal. What is wrong with that is entered in said.
func (r *refusals) take(said *transcript, l *ledger, line string) bool {
	if r.ready && line[0] != 'A' && line[0] != 'S' && line[0] != 'N' {
		r.ready, r.mute = false, false
		switch _, begun := said.state(); {
		case line == "Z I":
		case line == "Z E" && begun:
			said.add(onlyBegun)
		default:
			said.add("(behind a refusal: " + line + ")")
		}
		return line[0] == 'Z'
	}
	m, ok := l.head()
	if !theGuards.MatchString(line) || strings.Contains(line, " R=") || !ok {
		return false
	}
	if r.refused == nil {
		r.refused, r.forgets = map[int]bool{}, map[int]bool{}
	}
	if r.refused[m.n] || r.begun(m) {
		said.add("(refused in the middle of a batch: " + line + ")")
		return true
	}
	r.ready, r.mute = true, extends(m)
	r.forgets[m.n] = m.kind == "Parse" && m.name == ""
	for _, other := range r.step.messages {
		if other.n < m.n {
			continue
		}
		if !r.mute && other.n > m.n && !silent(other) {
			break
		}
		r.refused[other.n] = true
		if r.mute && other.kind == "Sync" {
			r.mute = false
			break
		}
	}
	return true
}

// begun is whether m is not the first message of its batch. A Close is carried out before the others are refused.
func (r *refusals) begun(m message) bool {
	at := slices.IndexFunc(r.step.messages, func(other message) bool { return other.n == m.n })
	for at--; at >= 0; at-- {
		switch other := r.step.messages[at]; {
		case silent(other), other.kind == "Close":
		case extends(other):
			return true
		default:
			return false
		}
	}
	return false
}

var forgetUnnamed = []message{{kind: "Close", what: 'S', ours: true}, {kind: "Sync", ours: true}}

// onlyBegun stands for a refusal of the first statement of a transaction whose BEGIN the guard has answered by itself.
const onlyBegun = "(a transaction that had only begun was refused)"

// openEnded is whether messages end in a batch of which nothing need come: neither Sync nor Flush ends it.
func openEnded(messages []message) bool {
	return len(messages) > 0 && extends(messages[len(messages)-1])
}

// units counts what a server answers with a ReadyForQuery each.
func units(messages []message) (n int) {
	for _, m := range messages {
		if m.kind == "Query" || m.kind == "FunctionCall" || m.kind == "Sync" {
			n++
		}
	}
	return n
}

// split returns the parts of the step that were taken and refused. rest are the answers that were not given. A refused Parse of the
// unnamed statement leaves none, like one that fails, because a client that does not wait must not run the one before: directly
// it is closed at that place.
func (r *refusals) split(rest []message) (taken, again step) {
	taken, again = step{kind: client}, step{kind: client}
	for _, m := range r.step.messages {
		if r.forgets[m.n] {
			taken.messages = append(taken.messages, forgetUnnamed...)
		}
		if r.refused[m.n] {
			again.messages = append(again.messages, m)
		} else {
			taken.messages = append(taken.messages, m)
		}
	}
	if openEnded(taken.messages) && len(again.messages) > 0 {
		taken.messages = append(taken.messages, flush)
	}
	given := len(r.step.answers) - len(rest)
	taken.answers, again.answers = r.step.answers[:given], rest
	return taken, again
}
