package difference

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// script is one session: who logs in with which start-up parameters, and what happens then.
type script struct {
	guard   kind // of the first of several scripts: which guard they meet
	user    string
	options []string // key, value, key, value…
	steps   []step
}

// step is one of: a write of the client, with what follows from it; an exchange of servers by the neighbours; somebody who
// comes, writes and leaves at once; a notification by somebody; a change of the world, its texts sent by somebody of whom this guard knows nothing; a write of the client as it leaves, after which the next
// comes, with the same start-up parameters.
type step struct {
	kind stepKind
	// messages are what the client sends in one write, or what the neighbour that comes in does before it opens the
	// transaction in which it stays.
	messages []message
	// answers are sent by the client once it is asked for copy data: up to a CopyDone or CopyFail, and what follows, for each time.
	// A client that leaves sends all and goes.
	answers []message
	// stays is whether a neighbour keeps its connection when the next one comes; one that still holds a server then leaves.
	stays bool
	// holds is whether the neighbour then keeps what the guard has of room, until the client has been refused.
	holds bool
	// past is whether the world is changed past the guard, else through a second one.
	past bool
	// channel is notified.
	channel string
	// how says in which way a client goes that leaves; of the last message it sends, or of the last answer, cut bytes are missing.
	how way
	cut int
}

type stepKind string

const (
	client    stepKind = "client"
	neighbour stepKind = "neighbour"
	visitor   stepKind = "visitor"
	notify    stepKind = "notify"
	leave     stepKind = "leave"
	world     stepKind = "world"
)

// kind is a kind of guard: how much room it has, and how patient it is.
type kind string

const (
	plainGuard kind = ""           // there is always room: nobody is refused
	impatient  kind = "impatient"  // one statement runs at a time, and nobody waits for long
	cancelling kind = "cancelling" // one statement runs at a time, and clients who wait cancel theirs
	full       kind = "full"       // one statement runs at a time, and one may wait
	narrow     kind = "narrow"     // session mode with one server, and nobody waits for long
	changing   kind = "changing"   // there is always room, and the world changes; texts are read anew after a tenth of a second
	unhurried  kind = "unhurried"  // the same with the usual second
)

var kinds = []kind{plainGuard, impatient, cancelling, full, narrow, changing, unhurried}

// refusing is whether a guard of this kind may refuse a client.
func (k kind) refusing() bool { return k != plainGuard && !k.moving() }

// moving is whether somebody changes the world beside a guard of this kind.
func (k kind) moving() bool { return k == changing || k == unhurried }

// way is how a client leaves.
type way string

const (
	goodbye way = "goodbye" // with a Terminate
	fin     way = "fin"     // it sends no more, and reads to the end
	closes  way = "closes"  // it sends no more, and does not read
	resets  way = "resets"
)

var goings = []way{goodbye, fin, closes, resets}

// String is the script as text.
func (s script) String() string {
	var b strings.Builder
	if s.guard != plainGuard {
		fmt.Fprintf(&b, "guard %s\n", s.guard)
	}
	fmt.Fprintf(&b, "user %s\n", s.user)
	for i := 0; i+1 < len(s.options); i += 2 {
		fmt.Fprintf(&b, "option %s %s\n", s.options[i], plain(s.options[i+1]))
	}
	for _, st := range s.steps {
		b.WriteString("\n" + st.String())
	}
	return b.String()
}

// leaves counts the clients that leave.
func (s script) leaves() (n int) {
	for _, st := range s.steps {
		if st.kind == leave {
			n++
		}
	}
	return n
}

func (st step) String() string {
	var b strings.Builder
	b.WriteString(string(st.kind))
	if st.channel != "" {
		b.WriteString(" " + st.channel)
	}
	if st.stays {
		b.WriteString(" stays")
	}
	if st.holds {
		b.WriteString(" holds")
	}
	if st.past {
		b.WriteString(" past")
	}
	if st.how != "" {
		b.WriteString(" " + string(st.how))
	}
	if st.cut > 0 {
		fmt.Fprintf(&b, " %d", st.cut)
	}
	b.WriteByte('\n')
	for _, m := range st.messages {
		b.WriteString("  " + m.String() + "\n")
	}
	for _, m := range st.answers {
		b.WriteString("  > " + m.String() + "\n")
	}
	return b.String()
}

// divider stands between scripts that meet the same guard, one after the other.
const divider = "---"

// format is scripts as text; parseScripts reads it.
func format(all []script) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, "\n"+divider+"\n\n")
}

// parseScripts reads what format writes. Lines that start with # are comments.
func parseScripts(text string) ([]script, error) {
	all := []script{{user: "app"}}
	for i, line := range strings.Split(text, "\n") {
		if line == divider {
			all = append(all, script{user: "app"})
			continue
		}
		if err := all[len(all)-1].addLine(line); err != nil {
			return all, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return all, nil
}

func (s *script) addLine(line string) error {
	body := strings.TrimSpace(line)
	switch {
	case body == "" || body[0] == '#':
		return nil
	case line[0] == ' ':
		return s.addMessage(body)
	}
	w := &words{rest: body}
	switch word := w.next(); stepKind(word) {
	case "guard":
		s.guard = kind(w.name())
		if !slices.Contains(kinds, s.guard) {
			w.fail("there is no guard %q", s.guard)
		}
	case "user":
		s.user = w.name()
	case "option":
		key := w.name()
		s.options = append(s.options, key, w.text())
	case client:
		s.steps = append(s.steps, step{kind: client})
	case neighbour:
		text := w.text()
		s.steps = append(s.steps, step{kind: neighbour, stays: text == "stays", holds: text == "holds"})
	case visitor:
		s.steps = append(s.steps, step{kind: visitor})
	case world:
		s.steps = append(s.steps, step{kind: world, past: w.text() == "past"})
	case notify:
		s.steps = append(s.steps, step{kind: notify, channel: w.name()})
	case leave:
		s.steps = append(s.steps, w.leave())
	default:
		return fmt.Errorf("%q is not the start of anything", word)
	}
	return w.err
}

// leave reads the rest of a line that starts with it.
func (w *words) leave() step {
	st := step{kind: leave, how: way(w.next())}
	if !slices.Contains(goings, st.how) {
		w.fail("%q is no way to leave", st.how)
	}
	if strings.TrimSpace(w.rest) != "" {
		st.cut = w.number(w.next())
	}
	return st
}

func (s *script) addMessage(line string) error {
	if len(s.steps) == 0 {
		return errors.New("a message before the first step")
	}
	line, answer := strings.CutPrefix(line, "> ")
	m, err := parseMessage(line)
	if err != nil {
		return err
	}
	st := &s.steps[len(s.steps)-1]
	if answer {
		st.answers = append(st.answers, m)
	} else {
		st.messages = append(st.messages, m)
	}
	return nil
}
