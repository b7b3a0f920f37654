package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"pgguard/bench/scenario"
)

// progress shows how far a run is: one line that is written over on a terminal, else a line every five seconds.
type progress struct {
	out      io.Writer
	name     string
	terminal bool
	width    int // of the longest line so far; terminal only
	next     time.Duration
}

// plainEvery is the distance of progress lines in a file or a pipe.
const plainEvery = 5 * time.Second

func newProgress(out io.Writer, name string) *progress {
	return &progress{out: out, name: name, terminal: isTerminal(out)}
}

func (p *progress) show(s scenario.Progress) {
	line := fmt.Sprintf("%s  %3.0f/%.0f s  %s", p.name, s.Done.Seconds(), s.Total.Seconds(), s.Text)
	if p.terminal {
		p.width = max(p.width, len(line))
		fmt.Fprintf(p.out, "\r%-*s", p.width, line)
		return
	}
	if s.Done >= p.next {
		p.next = s.Done + plainEvery
		fmt.Fprintln(p.out, line)
	}
}

// say prints a line of its own.
func (p *progress) say(text string) {
	p.end()
	fmt.Fprintln(p.out, text)
}

// end clears the line on a terminal.
func (p *progress) end() {
	if p.terminal && p.width > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
	}
}

// isTerminal reports whether w is a terminal, as far as the file's mode tells.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
