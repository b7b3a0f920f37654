//go:build pg

package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rows takes n new numbers.
func (c *client) rows(form string, n int) []*attempt {
	var out []*attempt
	for range n {
		out = append(out, c.line(form, c.next.Add(1)))
	}
	return out
}

// again is one more line for each row.
func (c *client) again(form string, rows []*attempt) []*attempt {
	var out []*attempt
	for _, a := range rows {
		out = append(out, c.line(form+" again", a.id))
	}
	return out
}

// line adds a line to the ledger.
func (c *client) line(form string, id int64) *attempt {
	a := &attempt{id: id, form: form, life: c.chapter}
	c.book = append(c.book, a)
	return a
}

// values are the rows as a list for VALUES.
func values(rows []*attempt) string {
	var list []string
	for _, a := range rows {
		list = append(list, "("+strconv.FormatInt(a.id, 10)+")")
	}
	return strings.Join(list, ", ")
}

// array is the rows as a list for unnest.
func array(rows []*attempt) string {
	return "unnest(array[" + strings.NewReplacer("(", "", ")", "").Replace(values(rows)) + "]::bigint[]) id"
}

// insert is a text that writes rows, in one of many ways.
func (c *client) insert(rows []*attempt) (string, deed) {
	n := strconv.Itoa(len(rows))
	d := deed{rows: rows, tag: "INSERT 0 " + n}
	text := "insert into " + c.table + " (id) "
	switch c.rnd.IntN(10) {
	case 5:
		text = fmt.Sprintf("select %s_say(id, %d) from %s", c.table, c.size(), array(rows))
		d.returns, d.tag = true, "SELECT "+n
	case 0:
		text += "values " + values(rows) + " returning id"
		d.returns = true
	case 1:
		text += fmt.Sprintf("select id from %s, pg_sleep(%.3f)", array(rows), c.upTo(60*time.Millisecond).Seconds())
	case 2:
		text = "with w as (" + text + "values " + values(rows) + " returning id) select id from w"
		d.returns, d.tag = true, "SELECT "+n
	case 3:
		text = "select " + c.put() + "(id) from " + array(rows)
		d.returns, d.tag = true, "SELECT "+n
	case 4:
		text += fmt.Sprintf("values %s returning id, repeat('x', %d)", values(rows), c.size())
		d.returns = true
	default:
		text += "values " + values(rows)
	}
	return c.pad(text), d
}

// mistaken is a text that fails, at once or at the end of its transaction.
func (c *client) mistaken(rows []*attempt) (string, deed) {
	d := deed{rows: rows}
	text := "insert into " + c.table + " (id) values " + values(rows)
	switch c.rnd.IntN(6) {
	case 0:
		text += ", (null)"
	case 1:
		text = fmt.Sprintf("select %s(id, %d) from %s", c.fail(), c.size(), array(rows))
	case 2:
		text = "insert into " + c.table + " (id, late) select id, true from " + array(rows)
	case 3:
		text += " oops"
	case 4:
		text += fmt.Sprintf(" returning id / (id - %d)", rows[len(rows)-1].id)
	default:
		text = fmt.Sprintf("select %s(id, 50) from %s", c.fail(), array(rows))
	}
	return c.pad(text), d
}

// size is a length around that of a buffer, or one well above.
func (c *client) size() int {
	const buffer = 16 << 10
	switch c.rnd.IntN(4) {
	case 0:
		return buffer - 200 + c.rnd.IntN(300)
	case 1:
		return 2*buffer - 200 + c.rnd.IntN(300)
	case 2:
		return buffer - 1200 + c.rnd.IntN(400)
	}
	return buffer + c.rnd.IntN(60<<10)
}

// pad makes some texts about as long as a buffer, or longer.
func (c *client) pad(text string) string {
	if !c.chance(c.door.long) {
		return text
	}
	return text + " /* " + strings.Repeat("x", max(0, c.size()-len(text)-12)) + " */"
}

// parts cuts rows in up to three parts.
func (c *client) parts(rows []*attempt) (out [][]*attempt) {
	for len(rows) > 0 {
		n := 1 + c.rnd.IntN(len(rows))
		if len(out) == 2 {
			n = len(rows)
		}
		out = append(out, rows[:n])
		rows = rows[n:]
	}
	return out
}

// form is a way to write rows in whole exchanges.
type form struct {
	name  string
	alone bool // not in a transaction block
	build func(c *client, rows []*attempt) []*message
}

var forms = []form{
	{"simple", false, func(c *client, rows []*attempt) []*message {
		text, d := c.insert(rows)
		return []*message{query(text, d)}
	}},
	{"several in a query", false, func(c *client, rows []*attempt) []*message { return []*message{c.several(rows)} }},
	{"block in a query", true, func(c *client, rows []*attempt) []*message { return []*message{c.blockInQuery(rows)} }},
	{"unnamed", false, func(c *client, rows []*attempt) []*message { return append(c.unnamed(c.insert(rows)), sync()) }},
	{"parameter", false, func(c *client, rows []*attempt) []*message { return append(c.parameters(rows), sync()) }},
	{"named", false, func(c *client, rows []*attempt) []*message { return append(c.named(rows), sync()) }},
	{"batch", false, func(c *client, rows []*attempt) []*message {
		var out []*message
		for _, part := range c.parts(rows) {
			if c.chance(0.5) {
				out = append(out, c.named(part)...)
			} else {
				out = append(out, c.unnamed(c.insert(part))...)
			}
		}
		return append(out, sync())
	}},
	{"block in a batch", true, func(c *client, rows []*attempt) []*message {
		out := c.unnamed("begin", deed{act: actBegin, tag: "BEGIN"})
		for _, part := range c.parts(rows) {
			out = append(out, c.unnamed(c.insert(part))...)
		}
		return append(append(out, c.unnamed("commit", commit)...), sync())
	}},
	{"call", false, func(c *client, rows []*attempt) (out []*message) {
		for i, a := range rows {
			out = append(out, call(c.putOID, strconv.FormatInt(a.id, 10), deed{rows: rows[i : i+1]}))
		}
		return out
	}},
	{"mistaken", false, func(c *client, rows []*attempt) []*message {
		text, d := c.mistaken(rows)
		return []*message{query(text, d)}
	}},
	{"mistaken, extended", false, func(c *client, rows []*attempt) []*message {
		return append(c.unnamed(c.mistaken(rows)), sync())
	}},
	{"mistaken after others", false, func(c *client, rows []*attempt) []*message { return c.mistakenLast(rows) }},
	{"split", false, func(c *client, rows []*attempt) []*message { return c.split(rows) }},
	{"long parameter", false, func(c *client, rows []*attempt) []*message { return append(c.longParameters(rows), sync()) }},
	{"named by SQL", false, func(c *client, rows []*attempt) []*message { return c.namedBySQL(rows) }},
	{"timed out", false, func(c *client, rows []*attempt) []*message { return []*message{c.timedOut(rows)} }},
	{"copy ahead", false, func(c *client, rows []*attempt) []*message { return c.copyAhead(rows) }},
	{"commits by itself", true, func(c *client, rows []*attempt) []*message { return c.byItself(rows) }},
}

var (
	commit   = deed{act: actCommit}
	rollback = deed{act: actRollback, tag: "ROLLBACK"}
)

// pick takes a form by chance, of those that are not left out.
func (c *client) pick() form {
	for {
		if f := forms[c.rnd.IntN(len(forms))]; without == nil || !without.MatchString(f.name) {
			return f
		}
	}
}

// unnamed is everything of an extended statement but its Sync.
func (c *client) unnamed(text string, d deed) []*message {
	out := []*message{parse("", text)}
	if c.chance(0.3) {
		out = append(out, describe('S', ""))
	}
	out = append(out, bind(""))
	if c.chance(0.3) {
		out = append(out, describe('P', ""))
	}
	return append(out, execute(d))
}

// parameters writes each row by the same unnamed statement.
func (c *client) parameters(rows []*attempt) []*message {
	out := []*message{parse("", c.pad("insert into "+c.table+" (id) values ($1)"))}
	for i := range rows {
		out = append(out, bind("", strconv.FormatInt(rows[i].id, 10)), execute(deed{rows: rows[i : i+1], tag: "INSERT 0 1"}))
	}
	return out
}

// longParameters is parameters with a long one more.
func (c *client) longParameters(rows []*attempt) []*message {
	out := []*message{parse("", "insert into "+c.table+" (id, note) values ($1, $2)")}
	for i := range rows {
		out = append(out, bind("", strconv.FormatInt(rows[i].id, 10), strings.Repeat("z", c.size())),
			execute(deed{rows: rows[i : i+1], tag: "INSERT 0 1"}))
	}
	return out
}

// split prepares the unnamed statement in an exchange of its own, as drivers do that look at the columns first.
func (c *client) split(rows []*attempt) []*message {
	text, d := c.insert(rows)
	out := []*message{parse("", text)}
	if c.chance(0.7) {
		out = append(out, describe('S', ""))
	}
	return append(out, sync(), bind(""), execute(d), sync())
}

// known is the name of a prepared statement, "" if there is none.
func (c *client) known() string {
	if known := slices.Sorted(maps.Keys(c.talk.names)); len(known) > 0 {
		return known[c.rnd.IntN(len(known))]
	}
	return ""
}

// named writes each row by the same named statement, which it prepares if there is none, and closes now and then.
func (c *client) named(rows []*attempt) (out []*message) {
	name := c.known()
	if name == "" || c.chance(0.2) {
		c.names++
		name = fmt.Sprintf("s%d", c.names)
		column := []string{"id", "*"}[c.rnd.IntN(2)]
		out = append(out, parse(name, c.pad("insert into "+c.table+" (id) values ($1) returning "+column)))
	}
	for i := range rows {
		out = append(out, bind(name, strconv.FormatInt(rows[i].id, 10)))
		if c.chance(0.5) {
			out = append(out, describe('P', ""))
		}
		out = append(out, execute(deed{rows: rows[i : i+1], tag: "INSERT 0 1", returns: true}))
	}
	if c.chance(0.1) {
		out = append(out, closing(name))
		delete(c.talk.names, name) // nobody names it before the answer has come
	}
	return out
}

// namedBySQL writes each row by a statement that was prepared by the protocol and is run by SQL.
func (c *client) namedBySQL(rows []*attempt) (out []*message) {
	name := c.known()
	if name == "" {
		text, d := c.insert(rows)
		return []*message{query(text, d)}
	}
	for i := range rows {
		text := fmt.Sprintf("execute %s(%d)", name, rows[i].id)
		d := deed{rows: rows[i : i+1], tag: "INSERT 0 1", returns: true}
		if c.chance(0.5) {
			out = append(out, query(text, d))
		} else {
			out = append(append(out, c.unnamed(text, d)...), sync())
		}
	}
	return out
}

// timedOut is a query that the server cancels.
func (c *client) timedOut(rows []*attempt) *message {
	text := fmt.Sprintf("set local statement_timeout = '4ms'; insert into %s (id) select id from %s, pg_sleep(0.05)", c.table, array(rows))
	return query(text, deed{act: actOther, tag: "SET"}, deed{rows: rows})
}

// copyAhead is a whole COPY, its data sent before it is asked for.
func (c *client) copyAhead(rows []*attempt) []*message {
	d := deed{act: actCopy, rows: rows, tag: fmt.Sprintf("COPY %d", len(rows))}
	text := "copy " + c.table + " (id, note) from stdin"
	if c.chance(0.5) {
		return append(append([]*message{query(text, d)}, c.data(rows)...), c.endOfCopy()...)
	}
	return append(append(append(c.unnamed(text, d), c.data(rows)...), c.endOfCopy()...), sync())
}

// several is a query of more than one statement, of which the last may fail.
func (c *client) several(rows []*attempt) *message {
	var texts []string
	var deeds []deed
	for _, part := range c.parts(rows) {
		text, d := c.insert(part)
		texts, deeds = append(texts, text), append(deeds, d)
	}
	if c.chance(0.2) {
		texts, deeds = append(texts, "select 1/0"), append(deeds, deed{act: actOther, tag: "SELECT"})
	}
	return query(strings.Join(texts, "; "), deeds...)
}

// blockInQuery is a query that begins, writes, ends and perhaps writes again.
func (c *client) blockInQuery(rows []*attempt) *message {
	texts, deeds := []string{"begin"}, []deed{{act: actBegin, tag: "BEGIN"}}
	for i, part := range c.parts(rows) {
		text, d := c.insert(part)
		if i == 2 {
			texts, deeds = append(texts, "commit"), append(deeds, commit)
		}
		texts, deeds = append(texts, text), append(deeds, d)
	}
	if len(texts) < 4 {
		texts, deeds = append(texts, "commit"), append(deeds, commit)
	}
	return query(strings.Join(texts, "; "), deeds...)
}

// mistakenLast is a batch whose last statement fails.
func (c *client) mistakenLast(rows []*attempt) []*message {
	half := len(rows) / 2
	var out []*message
	if half > 0 {
		out = c.parameters(rows[:half])
	}
	out = append(out, c.unnamed(c.mistaken(rows[half:]))...)
	return append(out, sync())
}

// byItself is a DO that commits on its way.
func (c *client) byItself(rows []*attempt) []*message {
	var b strings.Builder
	b.WriteString("do $$ begin ")
	for _, a := range rows {
		fmt.Fprintf(&b, "insert into %s (id) values (%d); commit; ", c.table, a.id)
	}
	d := deed{act: actOther, inner: rows, tag: "DO"}
	if c.chance(0.2) {
		b.WriteString("perform 1/0; ")
	}
	b.WriteString("end $$")
	if c.chance(0.5) {
		return []*message{query(b.String(), d)}
	}
	return append(c.unnamed(b.String(), d), sync())
}
