package pgbouncer

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pgguard/pool/sorting"
	"pgguard/proxy/config"
)

// Conversion is a configuration of PgBouncer in pgguard's words.
type Conversion struct {
	// YAML is a pgguard.yaml, with a comment for each line that means something else here, or nothing. It holds the passwords that
	// stand in the original.
	YAML []byte
	// Remarks are those comments, in the order of the lines they are about. None holds a secret.
	Remarks []string
	// Process is what concerns the process, not the configuration.
	Process Process

	// Settings are all keys of [pgbouncer] with what they have, as SHOW CONFIG lists them.
	Settings []Setting

	name  string
	where map[string]place // of the line that a key comes from, by the key's path
}

// Setting is one line of PgBouncer's SHOW CONFIG.
type Setting struct {
	Key, Value, Default string
	Fixed               bool // it is not read again
}

// Process is what PgBouncer's file says of the process.
type Process struct {
	LogFile, PIDFile, User string // empty: not given
	Verbose                int
	// Socket is by which another process may take this one's place, beside the unix socket that clients come to; empty: there is none of those.
	Socket string
	// Notify is after how long a client that waits is told so; 0: never.
	Notify time.Duration
}

// Convert reads the file of this name, and those that it names. The error is config.Faults: every line that cannot be kept, or that PgBouncer
// itself would refuse, or tell of at a login.
func Convert(name string) (*Conversion, error) {
	out, err := ConvertWith(name, nil)
	if err != nil {
		return nil, err
	}
	return out.strict()
}

// strict returns c if its YAML is a configuration that pgguard takes in its own place, too.
func (c *Conversion) strict() (*Conversion, error) {
	_, err := config.Parse(c.name, c.YAML)
	if faults, ok := err.(config.Faults); ok {
		return nil, moved(faults, c.where)
	}
	return c, err
}

// Assignment is a value for a key of [pgbouncer] in the place of what the file says.
type Assignment struct{ Key, Value string }

// ConvertWith is Convert for a guard in PgBouncer's place, with values that go before those of the file, as SET in PgBouncer's console gives them. What PgBouncer tells of at a
// login only is no fault.
func ConvertWith(name string, set []Assignment) (*Conversion, error) {
	f, err := read(name, openFile)
	if err != nil {
		return nil, err
	}
	for _, a := range set {
		f.assign(a)
	}
	return convertRead(name, f, openFile)
}

// Knows is true for a key of [pgbouncer].
func Knows(key string) bool { return settingOf(key) != nil }

// Load returns the configuration as serve uses it; its faults have the places of PgBouncer's lines.
func (c *Conversion) Load(over ...config.Override) (*config.File, error) {
	f, err := config.ParseLikePgBouncer(c.name, c.YAML, over...)
	if faults, ok := err.(config.Faults); ok {
		return nil, moved(faults, c.where)
	}
	return f, err
}

// convertFrom is ConvertWith, of nothing, with another way to open files.
func convertFrom(name string, open func(string) ([]byte, error)) (*Conversion, error) {
	f, err := read(name, open)
	if err != nil {
		return nil, err
	}
	return convertRead(name, f, open)
}

// convertRead is convertFrom for what has been read.
func convertRead(name string, f *file, open func(string) ([]byte, error)) (*Conversion, error) {
	out, faults := convert(name, f, open, false)
	if len(faults) > 0 {
		return nil, faults
	}
	_, err := out.Load()
	if err == nil {
		return out, nil
	}
	// PgBouncer asks nobody whether others may listen in.
	insecure, _ := convert(name, f, open, true)
	if _, err := insecure.Load(); err == nil {
		return insecure, nil
	}
	return nil, err
}

// converter makes one Conversion.
type converter struct {
	file     *file
	open     func(string) ([]byte, error)
	main     map[string]entry // of [pgbouncer]
	root     node
	nowhere  []remark // on lines that nothing comes of
	where    map[string]place
	remarks  []remark
	faults   config.Faults
	users    []string // of the auth_file, in its order
	known    map[string]bool
	insecure bool
	once     map[string]bool // faults and remarks that are told
	looksUp  bool            // users are looked up, of one database at least
	told     bool            // whose the guard's own connection is
}

// remark is a sentence about a line.
type remark struct {
	at   place
	text string
}

func (r remark) String() string { return r.at.String() + ": " + r.text }

// compare has the lines of a file together, in their order.
func (r remark) compare(o remark) int {
	return cmp.Or(cmp.Compare(r.at.file, o.at.file), cmp.Compare(r.at.line, o.at.line), cmp.Compare(r.at.column, o.at.column))
}

// order is that of the keys that come out.
var order = []string{"listen", "upstream", "pool", "classes", "databases", "users", "max_clients", "max_clients_per_database", "max_clients_per_user", "login_timeout", "disconnect_after", "log", "auth", "tls", "admin", "notice_after"}

func convert(name string, f *file, open func(string) ([]byte, error), insecure bool) (*Conversion, config.Faults) {
	c := &converter{file: f, open: open, main: map[string]entry{}, where: map[string]place{"": {name, 1, 1}}, known: map[string]bool{}, once: map[string]bool{}, insecure: insecure}
	for _, key := range order {
		c.root.child(key)
	}
	c.checkLines()
	c.readUsers()
	for _, part := range []func(){c.listen, c.pool, c.classes, c.databases, c.userLimits, c.clients, c.log, c.auth, c.tls, c.admin} {
		part()
	}
	c.tellUnused()
	sorting.By(c.faults, func(a, b config.Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	sorting.By(c.remarks, remark.compare)
	sorting.By(c.nowhere, remark.compare)
	out := &Conversion{YAML: c.yaml(name), name: name, where: c.where}
	for _, r := range c.remarks {
		out.Remarks = append(out.Remarks, r.String())
	}
	for _, s := range settings {
		out.Settings = append(out.Settings, Setting{s.key, c.value(s.key), s.value, s.fixed()})
	}
	out.Process = Process{LogFile: c.value("logfile"), PIDFile: c.value("pidfile"), User: c.value("user"), Verbose: c.number("verbose"), Notify: c.seconds("query_wait_notify")}
	if dir := c.value("unix_socket_dir"); dir != "" {
		out.Process.Socket = filepath.Join(dir, ".s.PGGUARD."+strconv.Itoa(c.number("listen_port")))
	}
	return out, c.faults
}

// yaml writes what has come out.
func (c *converter) yaml(name string) []byte {
	var b strings.Builder
	comment(&b, "", "pgguard.yaml, from "+name+". deploy/pgguard.yaml explains every key; what is not in here has its default.")
	if len(c.nowhere) > 0 {
		b.WriteString("#\n")
		comment(&b, "", "Lines that mean nothing here, or of which nothing comes:")
		for _, r := range c.nowhere {
			comment(&b, "", r.String())
		}
	}
	b.WriteString("\n")
	for _, n := range c.root.kids {
		n.write(&b, 0)
	}
	return []byte(b.String())
}

// bad records a fault of a line.
func (c *converter) bad(at place, key, format string, args ...any) {
	c.faults = append(c.faults, at.fault(key, format, args...))
}

// remark has the comment above n tell of a line; n is nil for one that nothing comes of.
func (c *converter) remark(n *node, at place, what, format string, args ...any) {
	r := remark{at, what + ": " + fmt.Sprintf(format, args...)}
	c.remarks = append(c.remarks, r)
	if n == nil {
		c.nowhere = append(c.nowhere, r)
	} else {
		n.remarks = append(n.remarks, r.String())
	}
}

// set gives a key of pgguard a value that comes from the line of e; the zero value is a line that is not there.
func (c *converter) set(n *node, text string, at place) *node {
	n.text = text
	c.from(n, at)
	return n
}

// from notes which line n comes from.
func (c *converter) from(n *node, at place) {
	if at.line > 0 {
		c.where[n.path] = at
	}
}

// checkLines looks at every line on its own: whether PgBouncer takes it, and whether it can be kept.
func (c *converter) checkLines() {
	for _, e := range c.file.entries {
		if e.section != sectionMain {
			continue
		}
		s := settingOf(e.key)
		if s == nil {
			c.faults = append(c.faults, unknownKey(e))
			continue
		}
		c.main[e.key] = e
		if wrong := s.check(e.value); wrong != "" {
			c.bad(e.valueAt, e.key, "%s", wrong)
			continue
		}
		if s.bad != "" && !s.same(e.value) {
			c.bad(e.at, e.key, "cannot be kept: %s", s.bad)
		}
	}
}

// tellUnused tells of the lines that nothing comes of.
func (c *converter) tellUnused() {
	for _, e := range c.file.entries {
		s := settingOf(e.key)
		if e.section != sectionMain || s == nil || s.says == "" || s.same != nil && s.same(e.value) {
			continue
		}
		c.remark(nil, e.at, e.key, "%s", s.says)
	}
	for _, e := range c.file.lost {
		c.remark(nil, e.at, e.key, "does not count: the key, or its section, is there again further down")
	}
	for _, e := range c.file.entries {
		if e.section == sectionPeers {
			c.checkPeer(e)
		}
	}
	for _, key := range []string{"logfile", "pidfile", "user"} {
		if e, ok := c.given(key); ok {
			c.remark(nil, e.at, key, "%s", map[string]string{
				"logfile": "the log goes to standard error; pgguard serve --pgbouncer writes the file",
				"pidfile": "systemd needs none; pgguard serve --pgbouncer writes the file",
				"user":    "start pgguard as that user (systemd: User=); pgguard serve --pgbouncer becomes it",
			}[key])
		}
	}
}

// checkPeer looks at a line of [peers].
func (c *converter) checkPeer(e entry) {
	if n, err := parseNumber(e.key); err != nil || n < 1 || n > 0xffff {
		c.bad(e.at, e.key, "is not the number of a peer, from 1 to 65535")
	}
	pairs, fault := pairsOf(e)
	if fault != nil {
		c.faults = append(c.faults, *fault)
		return
	}
	host := false
	for _, p := range pairs {
		switch p.key {
		case "host":
			host = true
		case "port", "pool_size":
			if _, err := parseNumber(p.value); err != nil {
				c.bad(p.valueAt, e.key, "%s: %q is not a whole number", p.key, p.value)
			}
		default:
			c.bad(p.at, e.key, "%s is no setting of a peer of PgBouncer 1.25", p.key)
		}
	}
	if !host {
		c.bad(e.at, e.key, "a peer must have a host")
	}
	c.remark(nil, e.at, "peer "+e.key, "%s", settingOf("peer_id").says)
}

// given is the line with a key of [pgbouncer] that says more than nothing.
func (c *converter) given(key string) (entry, bool) {
	e, ok := c.main[key]
	return e, ok && e.value != ""
}

// value is what a key of [pgbouncer] has, given or not.
func (c *converter) value(key string) string {
	if e, ok := c.main[key]; ok {
		return e.value
	}
	return settingOf(key).value
}

// number is the value of a key that has one; a wrong one is told of elsewhere.
func (c *converter) number(key string) int {
	n, _ := parseNumber(c.value(key))
	return n
}

// seconds is the value of a key that is a time.
func (c *converter) seconds(key string) time.Duration {
	d, _ := parseSeconds(c.value(key))
	return d
}

// at is where the line with a key of [pgbouncer] is; the zero value: there is none.
func (c *converter) at(key string) place { return c.main[key].valueAt }

// words are the parts of a list with commas.
func words(list string) (out []string) {
	for w := range strings.SplitSeq(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}
