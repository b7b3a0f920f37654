package difference

import (
	"regexp"
	"strconv"
	"strings"
)

// longRun is from how many equal letters on a line of a script says how many there are instead.
const longRun = 50

var squeezed = regexp.MustCompile(`<([a-z])\*(\d+)>`)

// squeeze writes many equal letters as one of them and how many: <x*100>. stretch undoes it.
func squeeze(line string) string {
	var b strings.Builder
	from := 0 // of what is not written yet
	for i, end := 0, 0; i < len(line); i = end {
		for end = i + 1; end < len(line) && line[end] == line[i]; end++ {
		}
		if c := line[i]; end-i >= longRun && 'a' <= c && c <= 'z' {
			b.WriteString(line[from:i] + "<" + string(c) + "*" + strconv.Itoa(end-i) + ">")
			from = end
		}
	}
	b.WriteString(line[from:])
	return b.String()
}

func stretch(line string) string {
	return squeezed.ReplaceAllStringFunc(line, func(run string) string {
		n, err := strconv.Atoi(run[3 : len(run)-1])
		if err != nil {
			return run
		}
		return strings.Repeat(run[1:2], n)
	})
}
