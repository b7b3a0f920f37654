package difference

import (
	"errors"
	"fmt"
	"strings"
)

// script is one session: who logs in with which start-up parameters, and what happens then.
type script struct {
	user    string
	options []string // key, value, key, value…
	steps   []step
}

// step is one of: a write of the client, with what follows from it; an exchange of servers by the neighbours; somebody who
// comes, writes and leaves at once; a notification by somebody.
type step struct {
	kind stepKind
	// messages are what the client sends in one write, or what the neighbour that comes in does before it opens the
	// transaction in which it stays.
	messages []message
	// answers are sent by the client once it is asked for copy data: up to a CopyDone or CopyFail, and what follows, for each time.
	answers []message
	// stays is whether a neighbour keeps its connection when the next one comes; one that still holds a server then leaves.
	stays bool
	// channel is notified.
	channel string
}

type stepKind string

const (
	client    stepKind = "client"
	neighbour stepKind = "neighbour"
	visitor   stepKind = "visitor"
	notify    stepKind = "notify"
)

// String is the script as text.
func (s script) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "user %s\n", s.user)
	for i := 0; i+1 < len(s.options); i += 2 {
		fmt.Fprintf(&b, "option %s %s\n", s.options[i], plain(s.options[i+1]))
	}
	for _, st := range s.steps {
		b.WriteString("\n" + st.String())
	}
	return b.String()
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
	case "user":
		s.user = w.name()
	case "option":
		key := w.name()
		s.options = append(s.options, key, w.text())
	case client:
		s.steps = append(s.steps, step{kind: client})
	case neighbour:
		s.steps = append(s.steps, step{kind: neighbour, stays: w.text() == "stays"})
	case visitor:
		s.steps = append(s.steps, step{kind: visitor})
	case notify:
		s.steps = append(s.steps, step{kind: notify, channel: w.name()})
	default:
		return fmt.Errorf("%q is not the start of anything", word)
	}
	return w.err
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
