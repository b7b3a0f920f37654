package difference

import (
	"fmt"
	"strconv"
	"strings"
)

// words reads a line of a script word by word. The first fault stays in err and empties the rest.
type words struct {
	rest string
	err  error
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
	w.rest = ""
}

// next takes one word; one in quotes is taken as it stands.
func (w *words) next() string {
	w.rest = strings.TrimLeft(w.rest, " ")
	prefix := 0
	if strings.HasPrefix(w.rest, `b"`) {
		prefix = 1
	}
	if strings.HasPrefix(w.rest[prefix:], `"`) {
		q, err := strconv.QuotedPrefix(w.rest[prefix:])
		if err != nil {
			w.fail("%s: the quotes do not close", w.rest)
			return ""
		}
		word := w.rest[:prefix+len(q)]
		w.rest = w.rest[len(word):]
		return word
	}
	word, rest, _ := strings.Cut(w.rest, " ")
	w.rest = rest
	if word == "" {
		w.fail("a word is missing")
	}
	return word
}

// name takes one word without its quotes.
func (w *words) name() string { return w.unquote(w.next()) }

// text takes the rest of the line.
func (w *words) text() string {
	rest := strings.TrimSpace(w.rest)
	w.rest = ""
	return w.unquote(rest)
}

func (w *words) unquote(s string) string {
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	out, err := strconv.Unquote(s)
	if err != nil {
		w.fail("%s: %w", s, err)
	}
	return out
}

func (w *words) number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		w.fail("%s is not a number", s)
	}
	return n
}

// parseMessage reads what message.String writes.
func parseMessage(line string) (message, error) {
	w := &words{rest: stretch(line)}
	m := message{kind: w.next()}
	switch m.kind {
	case "Query", "CopyFail":
		m.sql = w.text()
	case "Parse":
		m.name = w.name()
		for _, t := range w.list(w.next()) {
			m.types = append(m.types, uint32(t))
		}
		m.sql = w.text()
	case "Bind":
		m.portal, m.name = w.name(), w.name()
		w.arguments(&m)
	case "FunctionCall":
		m.name = w.name()
		w.arguments(&m)
	case "Describe", "Close":
		what := w.next()
		if what != "S" && what != "P" {
			w.fail("%s %s: S or P is wanted", m.kind, what)
			break
		}
		m = aimed(m.kind, what[0], w.name())
	case "Execute":
		m.portal = w.name()
		m.rows = uint32(w.number(w.next()))
	case "CopyData":
		m.data = []byte(w.text())
	case "CopyDone", "Sync", "Flush":
	default:
		w.fail("there is no message %q", m.kind)
	}
	if w.err == nil && strings.TrimSpace(w.rest) != "" {
		w.fail("%s: nothing is wanted after it but there is %q", m.kind, w.rest)
	}
	return m, w.err
}

// list splits numbers at their commas; "-" is none, 23*10 is 23 ten times.
func (w *words) list(s string) (numbers []int) {
	if s == "-" || s == "" {
		return nil
	}
	for _, word := range strings.Split(s, ",") {
		word, times, many := strings.Cut(word, "*")
		n := 1
		if many {
			n = w.number(times)
		}
		for v := w.number(word); n > 0; n-- {
			numbers = append(numbers, v)
		}
	}
	return numbers
}

// arguments reads what follows the names of a Bind or a FunctionCall.
func (w *words) arguments(m *message) {
	for strings.TrimSpace(w.rest) != "" && w.err == nil {
		switch word := w.next(); {
		case word == "=>":
			for _, f := range w.list(w.next()) {
				m.formats = append(m.formats, int16(f))
			}
		case word == "null":
			m.args = append(m.args, arg{null: true})
		case strings.HasPrefix(word, "b"):
			m.args = append(m.args, arg{binary: true, value: w.unquote(word[1:])})
		default:
			m.args = append(m.args, arg{value: w.unquote(word)})
		}
	}
}
