package difference

import "strings"

// leftBehind starts the line of what the tables hold after a client has left: the numbers in went, and the other tables.
const leftBehind = "(left behind: "

// fewer is whether line at of the transcripts is of a client that has left, and the guard has done less of what it had sent than
// PostgreSQL would have: the guard may stop at any place, but not do what comes behind it. One that refuses may also have refused single
// statements before it noticed that nobody hears.
func fewer(want, got transcript, at int, refuses bool) bool {
	if at < 1 || at >= len(want.lines) || at >= len(got.lines) || !strings.HasPrefix(want.lines[at], leftBehind) ||
		!strings.HasPrefix(got.lines[at], leftBehind) {
		return false
	}
	before := numbers(want.lines[at-1])
	all, some := numbers(want.lines[at]), numbers(got.lines[at])
	return len(some) < len(all) && isPrefix(before, some) && (isPrefix(some, all) || refuses && isPart(some, all))
}

// numbers are those of a line about what is in went.
func numbers(line string) []string {
	_, line, _ = strings.Cut(line, ": ")
	line, _, _ = strings.Cut(line, ";")
	return strings.Fields(strings.Trim(line, ")"))
}

// isPart is whether all holds what some does, in the same order.
func isPart(some, all []string) bool {
	for _, n := range all {
		if len(some) > 0 && some[0] == n {
			some = some[1:]
		}
	}
	return len(some) == 0
}

func isPrefix(short, long []string) bool {
	return len(short) <= len(long) && strings.Join(short, " ") == strings.Join(long[:len(short)], " ")
}

// closed is what a client sees at last.
const closed = "the connection is closed"

// broken returns the number of the first line after at that says that the session did not go on, or -1.
func (t *transcript) broken(at int) int {
	for i := at + 1; i < len(t.lines); i++ {
		line := t.lines[i]
		if strings.HasPrefix(line, "(") && !strings.HasPrefix(line, leftBehind) && !strings.HasPrefix(line, worldSays) && !strings.HasPrefix(line, atFirst) &&
			(t.cut || line != "("+closed+")") {
			return i
		}
	}
	return -1
}
