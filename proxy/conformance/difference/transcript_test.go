package difference

import (
	"fmt"
	"slices"
	"strings"
)

// surroundings is how many lines of a transcript are shown before and after a difference.
const surroundings = 12

// transcript is what one client was told.
type transcript struct {
	lines []string
	marks map[int]string // what the client did before the line of this number
	pids  []string       // what it saw as its server's process, in order
	cut   bool           // it ended before the client left

	played  []step // of a guard that refuses: what it took, in order
	refused int    // how often it did
}

// lost is whether the guard has said that it lost the client's server.
func (t *transcript) lost() bool {
	return slices.ContainsFunc(t.lines, func(line string) bool { return strings.Contains(line, "server connection was lost") })
}

// add enters a line. Settings that are reported together are in the order of their names: what order they come in is not
// promised, and is the server's.
func (t *transcript) add(line string) {
	at := len(t.lines)
	for at > 0 && t.marks[at] == "" && setting(line) != "" && setting(t.lines[at-1]) > setting(line) {
		at--
	}
	t.lines = slices.Insert(t.lines, at, line)
}

// setting is the name of the setting that a line reports, or "".
func setting(line string) string {
	if !strings.HasPrefix(line, "S ") {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(line[2:], "|"), "=")
	return name
}

// state says whether the client is outside a transaction, and, if it is in one, whether that has only begun.
func (t *transcript) state() (idle, begun bool) {
	for i := len(t.lines) - 1; i >= 0; i-- {
		line := t.lines[i]
		if !strings.HasPrefix(line, "Z ") {
			continue
		}
		for i > 0 && line == "Z T" && (t.lines[i-1] == line || t.lines[i-1] == "3") { // of a Sync, or a Close
			i--
		}
		begun = i > 0 && (t.lines[i-1] == "C BEGIN" || t.lines[i-1] == "C |START TRANSACTION|")
		return line == "Z I", begun && line == "Z T"
	}
	return true, false
}

// mark notes what the client does now. It is shown, and not compared.
func (t *transcript) mark(what string) {
	if t.marks == nil {
		t.marks = map[int]string{}
	}
	t.marks[len(t.lines)] += what
}

// login puts the lines since line from, which are those of a login, in an order of their own.
func (t *transcript) login(from int) { slices.Sort(t.lines[from:]) }

// early puts the notifications that came since line from before what else came: a server sends them whenever it waits
// outside a transaction, which depends on how fast its client sends.
func (t *transcript) early(from int) {
	slices.SortStableFunc(t.lines[from:], func(a, b string) int {
		return strings.Compare(notified(a), notified(b))
	})
}

// late puts the settings that were reported since line from before the next end of an answer, in the order of their names: when a server
// that is idle has read its configuration anew it says so with its next answer, whoever asked. Of one that is reported twice the last stays, and none that says what the client has been told
// before.
func (t *transcript) late(from int) {
	var out, told []string
	for _, line := range t.lines[from:] {
		if setting(line) != "" {
			told = append(told, line)
			continue
		}
		if strings.HasPrefix(line, "Z ") {
			out, told = append(out, t.news(told, slices.Concat(t.lines[:from], out))...), nil
		}
		out = append(out, line)
	}
	t.lines = slices.Concat(t.lines[:from], out, told)
}

// news are the settings that the client is told last, if they are not as in the lines before.
func (t *transcript) news(told, before []string) (out []string) {
	slices.SortStableFunc(told, func(a, b string) int { return strings.Compare(setting(a), setting(b)) })
	for i, line := range told {
		again := i+1 < len(told) && setting(told[i+1]) == setting(line)
		known := ""
		for _, b := range before {
			if setting(b) == setting(line) {
				known = b
			}
		}
		if !again && known != line {
			out = append(out, line)
		}
	}
	return out
}

func notified(line string) string {
	if strings.HasPrefix(line, "A ") {
		return "0"
	}
	return "1"
}

// moves counts how often the server was another than before.
func (t *transcript) moves() int {
	n := 0
	for i := 1; i < len(t.pids); i++ {
		if t.pids[i] != t.pids[i-1] {
			n++
		}
	}
	return n
}

// atFirst begins the line of what was there before a client left. It says how far a server was, which may still run what it was sent without a
// Sync: what the client left behind is looked at when it has.
const atFirst = "(before: "

// differs returns the number of the first line in which two transcripts differ, or -1.
func differs(want, got transcript) int {
	for i := range max(len(want.lines), len(got.lines)) {
		if i >= len(want.lines) || i >= len(got.lines) {
			return i
		}
		if want.lines[i] != got.lines[i] && !(strings.HasPrefix(want.lines[i], atFirst) && strings.HasPrefix(got.lines[i], atFirst)) {
			return i
		}
	}
	return -1
}

// sent is all that the client has done before line at.
func (t *transcript) sent(at int) string {
	var all strings.Builder
	for i := range at + 1 {
		all.WriteString(t.marks[i])
	}
	return all.String()
}

// around shows a transcript near line at.
func (t *transcript) around(at int) string {
	var b strings.Builder
	for i := max(0, at-surroundings); i <= min(len(t.lines), at+surroundings); i++ {
		for _, mark := range strings.Split(strings.TrimRight(t.marks[i], "\n"), "\n") {
			if mark != "" {
				fmt.Fprintf(&b, "      %s\n", mark)
			}
		}
		if i == len(t.lines) {
			break
		}
		sign := "  "
		if i == at {
			sign = "=>"
		}
		fmt.Fprintf(&b, " %s %s\n", sign, t.lines[i])
	}
	return b.String()
}

// senseless is whether the client broke the protocol: it sent something else where copy data was due.
func (t *transcript) senseless() bool {
	return slices.ContainsFunc(t.lines, func(line string) bool { return strings.Contains(line, "unexpected message type") })
}
