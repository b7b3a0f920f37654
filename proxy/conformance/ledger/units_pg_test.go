//go:build pg

package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgguard/proxy/wire"
)

// unit does one thing and comes back with no transaction open, or with errOver.
func (c *client) unit() error {
	what := c.rnd.IntN(100)
	switch {
	case c.sleeps && c.still.Load() && what < 40:
		return c.idles()
	case c.chance(0.004):
		return c.deaf()
	case c.chance(c.door.pins):
		return c.keeps()
	case what < 30:
		return c.retried("", c.one)
	case what < 45:
		return c.pipeline()
	case what < 72:
		return c.retried("transaction", c.transaction)
	case what < 86:
		return c.unsynced()
	case what < 96:
		return c.retried("copy", c.copies)
	}
	return c.asks()
}

// play sends messages and reads their answers.
func (c *client) play(messages ...*message) error {
	if err := c.send(messages...); err != nil {
		return err
	}
	return c.settle()
}

// calm ends what is open.
func (c *client) calm() error {
	for c.talk != nil && (c.talk.unsynced || c.talk.skipping) {
		if err := c.play(sync()); err != nil {
			return err
		}
	}
	for c.talk != nil && c.talk.status != wire.Idle {
		m := []*message{query("rollback", rollback)}
		if c.chance(0.3) {
			m = append(c.unnamed("rollback", rollback), sync())
		}
		if err := c.play(m...); err != nil {
			return err
		}
	}
	if c.talk == nil {
		return errOver
	}
	if f := c.talk.last; f != nil && f.refuses() {
		c.pause(20 * time.Millisecond) // who is refused does not come back at once
	}
	return nil
}

// retried does something with some rows and, if an application may, does it again with the same.
func (c *client) retried(form string, do func(form string, rows []*attempt) error) error {
	c.begin(form)
	rows := c.rows(form, 1+c.rnd.IntN(4))
	for try := 0; ; try++ {
		before := c.talk.last
		if err := do(form, rows); err != nil {
			return err
		}
		if err := c.calm(); err != nil {
			return err
		}
		f := c.talk.last
		if f == before || !f.passes() || try == 4 || c.chance(0.3) {
			return nil
		}
		var open []*attempt
		for _, a := range rows {
			if a.outcome == refused || a.outcome == failed {
				open = append(open, a)
			}
		}
		if len(open) == 0 {
			return nil
		}
		c.pause(30 * time.Millisecond)
		rows = c.again(form, open)
	}
}

// one writes rows in one of the forms, outside of a transaction.
func (c *client) one(_ string, rows []*attempt) error {
	f := c.pick()
	for _, a := range rows {
		a.form = strings.TrimSpace(f.name + a.form)
	}
	return c.play(f.build(c, rows)...)
}

// pipeline writes rows in many forms and reads the answers after.
func (c *client) pipeline() error {
	c.begin("pipeline")
	var all []*message
	n := 2 + c.rnd.IntN(1+c.rnd.IntN(30))
	if c.chance(0.02) {
		n = 150
	}
	for ; n > 0; n-- {
		f := c.pick()
		all = append(all, f.build(c, c.rows("pipeline: "+f.name, 1+c.rnd.IntN(3)))...)
	}
	if err := c.send(all...); err != nil {
		return err
	}
	if c.chance(0.1) { // answers are being written, and others are being refused
		for n := c.rnd.IntN(10); n > 0 && c.talk.waiting(); n-- {
			if err := c.hear(); err != nil {
				return err
			}
		}
		return c.leave("rst", "in the middle of a pipeline")
	}
	if err := c.settle(); err != nil {
		return err
	}
	return c.calm()
}

// beginning is a way to begin a transaction.
func (c *client) beginning() []*message {
	d := deed{act: actBegin}
	switch c.rnd.IntN(4) {
	case 0:
		return append(c.unnamed("begin", d), sync())
	case 1:
		return []*message{query("start transaction isolation level repeatable read", d)}
	}
	return []*message{query("begin", d)}
}

// ending is a way to end one.
func (c *client) ending() []*message {
	text, d := "commit", commit
	if c.chance(0.1) {
		text, d = "rollback", rollback
	}
	if c.chance(0.4) {
		return append(c.unnamed(text, d), sync())
	}
	return []*message{query(text, d)}
}

// whole is a transaction in two exchanges: its beginning, and all the rest.
func (c *client) whole(rows []*attempt) [][]*message {
	text, d := c.insert(rows)
	rest := []*message{query(text+"; commit", d, commit)}
	if c.chance(0.5) {
		rest = append(append(c.unnamed(text, d), c.unnamed("commit", commit)...), sync())
	}
	return [][]*message{c.beginning(), rest}
}

// transaction writes rows in a transaction block.
func (c *client) transaction(_ string, rows []*attempt) error {
	if c.chance(0.25) {
		return c.steps(c.whole(rows))
	}
	steps := [][]*message{c.beginning()}
	for i, part := range c.parts(rows) {
		point := fmt.Sprintf("p%d", i)
		saves := c.chance(0.15)
		if saves {
			steps = append(steps, []*message{query("savepoint "+point, deed{act: actSavepoint, name: point})})
		}
		steps = append(steps, c.inBlock(part))
		if c.chance(0.1) { // others wait for it, or deadlock with it
			text := fmt.Sprintf("update %s_hot set n = n + 1 where k = %d", c.table, c.rnd.IntN(3))
			steps = append(steps, []*message{query(text, deed{act: actOther, tag: "UPDATE 1"})})
		}
		if saves && c.chance(0.4) {
			back := deed{act: actRollbackTo, name: point, tag: "ROLLBACK"}
			steps = append(steps, []*message{query("rollback to "+point, back)})
		}
	}
	if !c.chance(0.1) {
		steps = append(steps, c.ending())
	}
	return c.steps(steps)
}

// steps plays the exchanges of a transaction, one after the other or all at once.
func (c *client) steps(steps [][]*message) error {
	if c.chance(0.25) {
		var all []*message
		for _, s := range steps {
			all = append(all, s...)
		}
		return c.play(all...)
	}
	for i, s := range steps {
		if err := c.play(s...); err != nil {
			return err
		}
		if i < len(steps)-1 && c.talk.status == wire.Idle {
			return nil // it did not begin, or is lost
		}
		if c.talk.status == wire.Failed && c.chance(0.6) {
			break
		}
		if c.chance(0.1) {
			c.pause(40 * time.Millisecond)
		}
	}
	if c.talk.status == wire.InTransaction {
		return c.leave("", "in a transaction that it has not ended")
	}
	return nil
}

// inBlock writes rows in one of the forms that a transaction block allows; few of them fail.
func (c *client) inBlock(rows []*attempt) []*message {
	for {
		f := c.pick()
		if f.alone || strings.HasPrefix(f.name, "mistaken") && !c.chance(0.2) {
			continue
		}
		return f.build(c, rows)
	}
}

// unsynced sends a batch without its Sync, in one or a few writes, and then does one thing or another.
func (c *client) unsynced() error {
	c.begin("batch without Sync")
	if c.chance(0.3) {
		if err := c.play(c.beginning()...); err != nil {
			return err
		}
	}
	block := c.talk.status == wire.InTransaction
	form := "no Sync"
	if block {
		form += ", in a transaction"
	}
	flushed := false
	for again := true; again; again = c.chance(0.3) {
		all := c.withoutSync(form)
		if block && c.chance(0.2) {
			all = append(all, c.unnamed("commit", commit)...)
		}
		if flushed = c.chance(0.6); flushed {
			all = append(all, flush())
		}
		if err := c.play(all...); err != nil {
			return err
		}
		c.pause(60 * time.Millisecond)
	}
	switch n := c.rnd.IntN(10); {
	case n < 5:
		return c.leave("", "before its Sync")
	case n < 7 && flushed && !c.talk.skipping:
		text, d := c.insert(c.rows(form+", then a query", 1))
		if err := c.play(query(text, d)); err != nil {
			return err
		}
	}
	return c.calm()
}

// withoutSync is a few statements of the extended protocol.
func (c *client) withoutSync(form string) (all []*message) {
	for range 1 + c.rnd.IntN(2) {
		switch rows := c.rows(form, 1+c.rnd.IntN(2)); c.rnd.IntN(8) {
		case 0:
			all = append(all, c.unnamed(c.mistaken(rows))...)
		case 1, 2, 3:
			all = append(all, c.unnamed(c.insert(rows))...)
		case 4, 5:
			all = append(all, c.parameters(rows)...)
		default:
			all = append(all, c.named(rows)...)
		}
	}
	return all
}

// deaf asks for more than fits in anybody's buffers and does not read for a while.
func (c *client) deaf() error {
	c.begin("deaf")
	rows := c.rows("deaf", 3)
	text := "insert into " + c.table + " (id) values " + values(rows) + " returning id, repeat('x', 4000000)"
	m := []*message{query(text, deed{rows: rows, returns: true, tag: "INSERT 0 3"}), query("select 1", deed{act: actOther})}
	if c.chance(0.5) {
		m = append(c.unnamed(text, deed{rows: rows, returns: true, tag: "INSERT 0 3"}), sync())
	}
	if err := c.send(m...); err != nil {
		return err
	}
	c.pause(2 * time.Second)
	if err := c.settle(); err != nil {
		return err
	}
	return c.calm()
}

// idles does nothing in the middle of a transaction, for longer than others like.
func (c *client) idles() error {
	c.begin("idle in a transaction")
	rows := c.rows("idle in a transaction", 2)
	if err := c.play(query("begin", deed{act: actBegin})); err != nil {
		return err
	}
	text, d := c.insert(rows[:1])
	if err := c.play(query(text, d)); err != nil {
		return err
	}
	if c.talk.status == wire.InTransaction {
		c.wait(c.door.idle)
	}
	if c.chance(0.5) {
		if err := c.play(c.inBlock(rows[1:])...); err != nil {
			return err
		}
	}
	if c.talk.status != wire.Idle {
		if err := c.play(c.ending()...); err != nil {
			return err
		}
	}
	return c.calm()
}

// state is a statement that leaves something in its session, or takes it back.
type state struct {
	text   string
	pins   bool // its client cannot do without its server after it
	undoes bool // it takes back what others have done
}

var states = []state{
	{text: "create temp table if not exists mine (x int)", pins: true},
	{text: "select pg_try_advisory_lock(%d)", pins: true},
	{text: "listen news", pins: true},
	{text: "prepare p (bigint) as insert into T (id) values ($1)", pins: true},
	{text: "set statement_timeout = '1min'"},
	{text: "set timezone = 'Asia/Tokyo'"},
	{text: "set role writer"},
	{text: "notify news"},
	{text: "set local lock_timeout = '10ms'; alter table T add column if not exists extra int"},
	{text: "set local lock_timeout = '10ms'; alter table T drop column if exists extra"},
	{text: "discard all", undoes: true},
	{text: "select pg_advisory_unlock_all()", undoes: true},
	{text: "drop table if exists mine", undoes: true},
	{text: "unlisten *", undoes: true},
	{text: "deallocate all", undoes: true},
	{text: "reset all", undoes: true},
	{text: "reset role", undoes: true},
}

// keeps leaves something in its session, or takes it back; or runs what it has prepared by SQL.
func (c *client) keeps() error {
	c.begin("session state")
	if c.sqlName && c.chance(0.6) {
		rows := c.rows("prepared by SQL", 1)
		if err := c.play(query(fmt.Sprintf("execute p(%d)", rows[0].id), deed{rows: rows, tag: "INSERT 0 1"})); err != nil {
			return err
		}
		return c.calm()
	}
	s := states[c.rnd.IntN(len(states))]
	for s.undoes && !c.pinned {
		s = states[c.rnd.IntN(len(states))]
	}
	text := strings.NewReplacer("%d", strconv.Itoa(c.rnd.IntN(1000)), " T ", " "+c.table+" ").Replace(s.text)
	var deeds []deed
	for range strings.Count(text, ";") + 1 {
		deeds = append(deeds, deed{act: actOther})
	}
	before, m := c.talk.last, []*message{query(text, deeds...)}
	if len(deeds) == 1 && c.chance(0.3) {
		m = append(c.unnamed(text, deeds[0]), sync())
	}
	if err := c.play(m...); err != nil {
		return err
	}
	if c.talk.last == before {
		c.pinned = (c.pinned || s.pins) && s.text != "discard all"
		c.sqlName = strings.HasPrefix(s.text, "prepare") || c.sqlName && s.text != "discard all" && s.text != "deallocate all"
	}
	return c.calm()
}

// asks reads, or says nothing at all.
func (c *client) asks() error {
	c.begin("reads")
	texts := []string{"", ";", "select 1", "show search_path", "select pg_sleep(0.02)"}
	text := texts[c.rnd.IntN(len(texts))]
	if err := c.play(query(text, deed{act: actOther})); err != nil {
		return err
	}
	return c.calm()
}
