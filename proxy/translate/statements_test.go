package translate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// exits is true for a statement that may run in a transaction that has failed.
func exits(s string) bool {
	switch verb(s) {
	case "commit", "end", "rollback", "abort":
		return true
	}
	return false
}

// controls is true for a statement that begins or ends a transaction.
func controls(s string) bool {
	return exits(s) || verb(s) == "begin"
}

func verb(s string) string {
	word, _, _ := strings.Cut(strings.ToLower(s), " ")
	return word
}

// syntax is what the grammar says.
func syntax(s string) *problem {
	if verb(s) == "selec" {
		return wrong("42601", "syntax error at or near \"selec\"")
	}
	return nil
}

// planning is what comes of it when a statement is planned.
func planning(s string) *problem {
	switch {
	case strings.Contains(s, "1/0"):
		return wrong("22012", "division by zero")
	case strings.Contains(s, "cannot be prepared any more"):
		return wrong("22P02", "invalid input syntax for type integer: \"guard: statement cannot be prepared any more\"")
	}
	return nil
}

// analyze looks at what a statement names, and notes whether it returns rows.
func (p *postgres) analyze(st *stored) *problem {
	switch words := strings.Fields(strings.ToLower(st.text)); verb(st.text) {
	case "select", "show", "fetch":
		st.rows = true
		if strings.HasSuffix(st.text, "from tt") && !p.temp["tt"] {
			return wrong("42P01", "relation \"tt\" does not exist")
		}
	case "execute":
		is := p.statements[words[1]]
		st.rows = is != nil && is.rows
	}
	return nil
}

// config is a call of set_config by the guard.
var config = regexp.MustCompile(`set_config\(E'((?:[^'\\]|''|\\\\)*)',(?:(NULL)|E'((?:[^'\\]|''|\\\\)*)'),false\)`)

// unquoted is the text of a literal of the guard's.
func unquoted(s string) string { return strings.NewReplacer(`''`, `'`, `\\`, `\`).Replace(s) }

// run runs one statement: rows takes its rows, head is called before them. alone: it is all of its query.
func (p *postgres) run(s string, rows func(...string), head func(), alone bool) (tag string, e *problem) {
	low := strings.ToLower(s)
	words := strings.Fields(low)
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	if strings.Contains(low, "fail") {
		return "", wrong("P0001", "it has failed")
	}
	switch words[0] {
	case "begin":
		if p.block != 'I' {
			p.warn("25001", "there is already a transaction in progress")
		} else {
			p.block, p.implicit = 'T', false
		}
		return "BEGIN", nil
	case "commit", "end", "rollback", "abort":
		return p.endBlock(words[0] == "commit" || words[0] == "end"), nil
	case "insert", "update":
		p.writes = append(p.writes, p.who+" "+s)
		return strings.ToUpper(words[0]) + " 1", nil
	case "set", "reset":
		return p.set(words)
	case "show":
		head()
		rows(p.value(word(1)))
		return "SHOW", nil
	case "discard":
		return p.discard(word(1), alone)
	case "deallocate":
		name := word(len(words) - 1)
		if name == "all" {
			clear(p.statements)
			return "DEALLOCATE ALL", nil
		}
		if p.statements[name] == nil {
			return "", wrong("26000", "prepared statement \"%s\" does not exist", name)
		}
		p.odd = p.odd || p.statements[name].at > p.bound
		delete(p.statements, name)
		return "DEALLOCATE", nil
	case "prepare":
		return p.prepare(s, word(1))
	case "execute":
		st := p.statements[word(1)]
		if st == nil {
			return "", wrong("26000", "prepared statement \"%s\" does not exist", word(1))
		}
		p.odd = p.odd || st.at > p.bound
		switch verb(st.text) {
		case "select", "insert", "update":
		default:
			return "", wrong("0A000", "EXECUTE of that is not supported")
		}
		if e := p.analyze(&stored{text: st.text}); e != nil {
			return "", e
		}
		if e := planning(st.text); e != nil {
			return "", e
		}
		return p.run(st.text, rows, head, false)
	case "copy":
		p.say('H', "\x00\x00\x00")
		p.say('d', "1\n")
		p.say('c', "")
		return "COPY 1", nil
	}
	return p.runOther(s, low, word, rows, head)
}

// runOther runs a statement that leaves something, or returns rows.
func (p *postgres) runOther(s, low string, word func(int) string, rows func(...string), head func()) (string, *problem) {
	switch word(0) {
	case "create":
		if p.temp["tt"] {
			return "", wrong("42P07", "relation \"tt\" already exists")
		}
		p.temp["tt"] = true
		return "SELECT 1", nil
	case "drop":
		if !p.temp["tt"] {
			return "", wrong("42P01", "table \"tt\" does not exist")
		}
		delete(p.temp, "tt")
		return "DROP TABLE", nil
	case "listen":
		p.listens[word(1)] = true
		return "LISTEN", nil
	case "unlisten":
		delete(p.listens, word(1))
		return "UNLISTEN", nil
	case "declare":
		if p.cursors[word(1)] {
			return "", wrong("42P03", "cursor \"%s\" already exists", word(1))
		}
		p.cursors[word(1)] = true
		return "DECLARE CURSOR", nil
	case "close":
		if !p.cursors[word(1)] {
			return "", wrong("34000", "cursor \"%s\" does not exist", word(1))
		}
		delete(p.cursors, word(1))
		return "CLOSE CURSOR", nil
	case "load":
		p.loads = true
		return "LOAD", nil
	case "select":
		return p.selects(s, low, rows, head)
	}
	return "", wrong("0A000", "%s is not supported", word(0))
}

// selects runs a SELECT.
func (p *postgres) selects(s, low string, rows func(...string), head func()) (string, *problem) {
	value := strings.TrimSpace(s[len("select"):])
	switch {
	case config.MatchString(s):
		for _, m := range config.FindAllStringSubmatch(s, -1) {
			p.put(unquoted(m[1]), unquoted(m[3]), m[2] == "")
		}
		value = ""
	case strings.HasPrefix(s, "SELECT 's', 'statement_timeout'"):
		head()
		rows("s", "statement_timeout", "0")
		return "SELECT 1", nil
	case strings.HasPrefix(s, "SELECT '"), strings.HasPrefix(s, "SELECT CASE "): // the guard's residue query
		head()
		n := 0
		for _, r := range p.residue(s) {
			n++
			rows(r[0], r[1], r[2])
		}
		return fmt.Sprintf("SELECT %d", n), nil
	case low == "select pg_advisory_lock(1)":
		p.locks, value = true, ""
	case low == "select pg_advisory_unlock(1)":
		p.locks, value = false, "t"
	case low == "select nextval('s')":
		p.taken, value = p.who, "next"
	case low == "select currval('s')", low == "select lastval()":
		if p.taken == "" {
			return "", wrong("55000", "currval of sequence \"s\" is not yet defined in this session")
		}
		value = "taken by " + p.taken
	case low == "select g()":
		p.put("app.g", "1", true)
	case strings.HasPrefix(low, "select current_setting("):
		value = p.value(strings.Split(low, "'")[1])
	case strings.HasPrefix(low, "select write "):
		p.writes = append(p.writes, p.who+" "+s)
	}
	head()
	rows(value)
	return "SELECT 1", nil
}

// endBlock runs COMMIT or ROLLBACK.
func (p *postgres) endBlock(commit bool) string {
	switch {
	case p.block == 'T' && commit:
		p.commit()
		return "COMMIT"
	case p.block != 'I':
		p.rollback()
		return "ROLLBACK"
	}
	p.warn("25P01", "there is no transaction in progress")
	if commit {
		p.implicit = false
		return "COMMIT"
	}
	p.rollback()
	return "ROLLBACK"
}

// set runs SET and RESET.
func (p *postgres) set(words []string) (string, *problem) {
	tag := strings.ToUpper(words[0])
	switch {
	case tag == "RESET" && words[1] == "all":
		for name := range p.settings {
			if name != "role" {
				p.put(name, "", false)
			}
		}
	case tag == "RESET":
		p.put(words[1], "", false)
	case words[1] == "local":
		if p.block != 'T' && !p.implicit {
			p.warn("25P01", "SET LOCAL can only be used in transaction blocks")
		} else {
			p.local[words[2]] = strings.Trim(words[4], "'")
		}
	default:
		p.put(words[1], strings.Trim(words[3], "'"), true)
	}
	return tag, nil
}

// put changes a setting of the session.
func (p *postgres) put(name, value string, set bool) {
	delete(p.local, name)
	if !set || (name == "role" && value == "none") || (strings.Contains(name, ".") && value == "") {
		delete(p.settings, name)
	} else {
		p.settings[name] = value
	}
	if name == "timezone" {
		p.reports[name] = p.value(name)
	}
}

// value is what a setting is.
func (p *postgres) value(name string) string {
	if v, ok := p.local[name]; ok {
		return v
	}
	if v, ok := p.settings[name]; ok {
		return v
	}
	return map[string]string{"timezone": "UTC", "work_mem": "4MB", "role": "none"}[name]
}

// discard runs DISCARD.
func (p *postgres) discard(what string, alone bool) (string, *problem) {
	if what == "sequences" {
		p.taken = ""
		return "DISCARD SEQUENCES", nil
	}
	p.immediate = true
	if p.block != 'I' || !alone || p.implicit { // since 14.6 also in a pipeline, which the guard's own Execute may have made of a batch
		p.immediate = false
		return "", wrong("25001", "DISCARD ALL cannot run inside a transaction block")
	}
	for name := range p.settings {
		p.put(name, "", false)
	}
	clear(p.temp)
	clear(p.listens)
	clear(p.cursors)
	clear(p.statements)
	clear(p.portals)
	p.locks, p.taken = false, ""
	return "DISCARD ALL", nil
}

// prepare runs PREPARE.
func (p *postgres) prepare(s, name string) (string, *problem) {
	if p.statements[name] != nil {
		return "", wrong("42P05", "prepared statement \"%s\" already exists", name)
	}
	_, text, _ := strings.Cut(s, " as ")
	st := &stored{text: text}
	if e := p.analyze(st); e != nil {
		return "", e
	}
	p.statements[name] = st
	return "PREPARE", nil
}

var customsOf = regexp.MustCompile(`unnest\(ARRAY\[([^\]]*)\]\), pg_catalog`)

// residue answers a residue query.
func (p *postgres) residue(text string) (rows [][3]string) {
	is := map[byte]bool{'t': len(p.temp) > 0, 'a': p.locks, 'l': len(p.listens) > 0, 'c': len(p.cursors) > 0}
	for name := range p.statements {
		is['p'] = is['p'] || !strings.HasPrefix(name, StatementPrefix)
	}
	var names []string
	for name := range p.settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, q := range residueQueries {
		if !strings.Contains(text, q.text) {
			continue
		}
		if q.kind != 's' && is[q.kind] {
			rows = append(rows, [3]string{string(q.kind)})
		}
		for _, name := range names {
			if q.kind == 's' && name != "role" && !strings.Contains(name, ".") {
				rows = append(rows, [3]string{"s", name, p.settings[name]})
			}
		}
	}
	if r, ok := p.settings["role"]; ok && strings.Contains(text, "current_setting('role')") {
		rows = append(rows, [3]string{"s", "role", r})
	}
	if m := customsOf.FindStringSubmatch(text); m != nil {
		for _, name := range names {
			if strings.Contains(m[1], literal(name)) && strings.Contains(name, ".") {
				rows = append(rows, [3]string{"s", name, p.settings[name]})
			}
		}
	}
	if strings.Contains(text, "SELECT 'f'") {
		rows = append(rows, [3]string{"f", "", "begin perform set_config('app.g', '1', false); end"})
	}
	return rows
}
