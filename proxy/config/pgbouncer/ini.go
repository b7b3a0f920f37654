package pgbouncer

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"pgguard/proxy/config"
)

// place is where something stands, from 1.
type place struct {
	file         string
	line, column int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// fault is one at p.
func (p place) fault(key, format string, args ...any) config.Fault {
	return config.Fault{File: p.file, Line: p.line, Column: p.column, Path: key, Message: fmt.Sprintf(format, args...)}
}

// entry is one line key = value.
type entry struct {
	section, key, value string
	at, valueAt         place
}

// The sections of a configuration.
const (
	sectionMain      = "pgbouncer"
	sectionDatabases = "databases"
	sectionUsers     = "users"
	sectionPeers     = "peers"
)

var sections = []string{sectionDatabases, sectionUsers, sectionPeers, sectionMain}

// file is a configuration as PgBouncer reads it: of each key the line that counts, in their order.
type file struct {
	entries []entry
	lost    []entry // lines that do not count, because of one further down
}

// reader reads one configuration. What is wrong ends it, as it ends PgBouncer.
type reader struct {
	file
	section  string
	hasMain  bool
	open     func(name string) ([]byte, error)
	total    int // bytes
	files    int
	included int            // files that are being read
	live     map[string]int // the entry that counts, by section and key
	dead     map[int]bool   // entries that do not
}

const (
	maxIncludes = 10       // that are open at once, as in PgBouncer
	maxFiles    = 1000     // in all: ten that include themselves twice would be read a thousand times
	maxText     = 1 << 20  // bytes in all: what comes out has no more
	maxSize     = 16 << 20 // bytes of any file: a list of 100,000 users
)

// read reads the file of this name, and those that it includes.
func read(name string, open func(string) ([]byte, error)) (*file, error) {
	r := &reader{open: open, live: map[string]int{}, dead: map[int]bool{}}
	if err := r.read(name, place{}); err != nil {
		return nil, config.Faults{*err}
	}
	all := r.entries
	r.entries = nil
	for i, e := range all {
		if r.dead[i] {
			r.lost = append(r.lost, e)
		} else {
			r.entries = append(r.entries, e)
		}
	}
	if !r.hasMain {
		return nil, config.Faults{place{name, 1, 1}.fault("", "there is no section [pgbouncer]")}
	}
	return &r.file, nil
}

// openFile reads a file of at most maxSize bytes.
func openFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", name)
	case info.Size() > maxSize:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxSize)
	}
	return os.ReadFile(name)
}

func (r *reader) read(name string, from place) *config.Fault {
	text, err := r.open(name)
	if err != nil {
		f := config.Fault{Message: err.Error()}
		if from.line > 0 {
			f = from.fault("%include", "%v", err)
		}
		return &f
	}
	r.files++
	if r.total += len(text); r.total > maxText || r.files > maxFiles {
		f := place{name, 1, 1}.fault("", "there are more than %d bytes, or %d files", maxText, maxFiles)
		return &f
	}
	c := &cursor{text: string(text), file: name}
	for {
		c.skip(isSpace)
		if c.end() {
			return nil
		}
		if f := r.item(c); f != nil {
			return f
		}
	}
}

// aName is a key that needs no quotes.
var aName = regexp.MustCompile(`^[A-Za-z0-9_.*-]*`)

// item reads what begins at the cursor: a comment, an %include, a section or a line.
func (r *reader) item(c *cursor) *config.Fault {
	at := c.place()
	switch rest := c.rest(); {
	case rest[0] == '#' || rest[0] == ';':
		c.line()
		return nil
	case strings.HasPrefix(rest, "%include ") || strings.HasPrefix(rest, "%include\t"):
		c.take(len("%include"))
		return r.include(c, at)
	case rest[0] == '[':
		c.take(1)
		name, _, closed := strings.Cut(upTo(c.rest(), '\n'), "]")
		if !closed {
			f := at.fault("", "the name of a section has no ]")
			return &f
		}
		c.take(len(name) + 1)
		return r.enter(name, at)
	}
	key, f := r.key(c, at)
	if f != nil {
		return f
	}
	c.skip(isBlank)
	if c.end() || c.rest()[0] != '=' {
		f := c.place().fault(key, "is not followed by =")
		if key == "" {
			f.Path, f.Message = "", "is neither a comment, a [section], an %include nor key = value"
		}
		return &f
	}
	c.take(1)
	c.skip(isBlank)
	e := entry{key: key, at: at, valueAt: c.place()}
	e.value = strings.TrimRightFunc(c.line(), isSpaceRune)
	return r.add(e)
}

// key reads a key, which stands in quotes if it has other characters than letters, digits and _.-*.
func (r *reader) key(c *cursor, at place) (string, *config.Fault) {
	quote := c.rest()[0]
	if quote != '\'' && quote != '"' {
		return c.take(len(aName.FindString(c.rest()))), nil
	}
	c.take(1)
	key, _, closed := strings.Cut(upTo(c.rest(), '\n'), string(quote))
	if !closed || key == "" {
		f := at.fault("", "a key in quotes is empty, or has no second quote on its line")
		return "", &f
	}
	c.take(len(key) + 1)
	return key, nil
}

// include reads another file in the place of the line.
func (r *reader) include(c *cursor, at place) *config.Fault {
	c.skip(isBlank)
	from := c.place()
	name := strings.TrimRightFunc(c.line(), isSpaceRune)
	if r.included >= maxIncludes {
		f := at.fault("%include", "more than %d files are included by one another", maxIncludes)
		return &f
	}
	r.included++
	f := r.read(name, from)
	r.included--
	return f
}

// enter begins a section. One that is begun again counts anew: PgBouncer sets every key of [pgbouncer] to its default there.
func (r *reader) enter(name string, at place) *config.Fault {
	known := false
	for _, s := range sections {
		known = known || s == name
	}
	if !known {
		f := at.fault("", "there is no section [%s]; those are %s", name, strings.Join(sections, ", "))
		return &f
	}
	r.section = name
	if name == sectionMain {
		r.hasMain = true
		for name, i := range r.live {
			if r.entries[i].section == sectionMain {
				r.dead[i] = true
				delete(r.live, name)
			}
		}
	}
	return nil
}

// add keeps a line, in the place of one before it with the same key.
func (r *reader) add(e entry) *config.Fault {
	if r.section == "" {
		f := e.at.fault(e.key, "stands above the first section")
		return &f
	}
	e.section = r.section
	name := e.section + "\x00" + e.key
	if i, ok := r.live[name]; ok {
		r.dead[i] = true
	}
	r.live[name] = len(r.entries)
	r.entries = append(r.entries, e)
	return nil
}

// assign has a key of [pgbouncer] have another value than the file says.
func (f *file) assign(a Assignment) {
	at := place{"SET " + a.Key, 1, 1}
	e := entry{section: sectionMain, key: a.Key, value: a.Value, at: at, valueAt: at}
	f.entries = slices.DeleteFunc(f.entries, func(o entry) bool { return o.section == sectionMain && o.key == a.Key })
	f.entries = append(f.entries, e)
}

// cursor is a place in a text that is read.
type cursor struct {
	text, file string
	pos        int
	lines      int // line ends before pos
	begin      int // of the line that pos is in
}

func (c *cursor) end() bool    { return c.pos >= len(c.text) }
func (c *cursor) rest() string { return c.text[c.pos:] }
func (c *cursor) place() place { return place{c.file, c.lines + 1, c.pos - c.begin + 1} }

// take returns the next n bytes, and goes behind them.
func (c *cursor) take(n int) string {
	taken := c.text[c.pos : c.pos+n]
	for range n {
		if c.text[c.pos] == '\n' {
			c.lines, c.begin = c.lines+1, c.pos+1
		}
		c.pos++
	}
	return taken
}

// line returns what is left of the line, and goes to its end.
func (c *cursor) line() string { return c.take(len(upTo(c.rest(), '\n'))) }

func (c *cursor) skip(which func(byte) bool) {
	for !c.end() && which(c.text[c.pos]) {
		c.take(1)
	}
}

// upTo is s as far as the first c.
func upTo(s string, c byte) string {
	if i := strings.IndexByte(s, c); i >= 0 {
		return s[:i]
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isSpace is C's.
func isSpace(c byte) bool { return isBlank(c) || c >= '\n' && c <= '\r' }

func isSpaceRune(r rune) bool { return r < 0x80 && isSpace(byte(r)) }
