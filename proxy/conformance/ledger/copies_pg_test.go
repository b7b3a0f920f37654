//go:build pg

package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// copies writes rows by COPY, of the simple or of the extended protocol, and ends it in one way or another.
func (c *client) copies(_ string, rows []*attempt) error {
	if c.chance(0.2) {
		if err := c.play(c.beginning()...); err != nil {
			return err
		}
	}
	d := deed{act: actCopy, rows: rows, tag: fmt.Sprintf("COPY %d", len(rows))}
	text := "copy " + c.table + " (id, note) from stdin"
	first := []*message{query(text, d)}
	extended, early := c.chance(0.5), c.chance(0.5)
	if extended {
		first = c.unnamed(text, d)
	}
	data, end := c.data(rows), c.endOfCopy()
	if c.chance(0.3) { // all at once
		first = append(append(first, data...), end...)
		if extended {
			first = append(first, sync())
		}
		if err := c.play(first...); err != nil {
			return err
		}
		return c.finish()
	}
	switch {
	case extended && early: // as libpq does
		first = append(first, sync())
	case extended:
		first = append(first, flush())
	}
	if err := c.play(first...); err != nil {
		return err
	}
	for c.talk.copying != nil && len(data) > 0 {
		n := 1 + c.rnd.IntN(len(data))
		if err := c.send(data[:n]...); err != nil {
			return err
		}
		data = data[n:]
		if c.chance(0.3) {
			c.pause(10 * time.Millisecond)
		}
	}
	if c.talk.copying != nil && c.chance(0.12) {
		return c.leave("", "before its CopyDone")
	}
	if c.talk.copying != nil {
		if extended && !c.chance(0.15) {
			end = append(end, sync())
		}
		if err := c.play(end...); err != nil {
			return err
		}
	}
	return c.finish()
}

// finish leaves before the Sync that a COPY of the extended protocol still needs, or sends it; and ends a transaction.
func (c *client) finish() error {
	if c.talk.unsynced && c.chance(0.5) {
		return c.leave("", "after its CopyDone and before its Sync")
	}
	if c.talk.skipping || c.talk.unsynced {
		if err := c.play(sync()); err != nil {
			return err
		}
	}
	if c.talk.explicit {
		return c.play(c.ending()...)
	}
	return nil
}

// data is the rows as copy data, in lines that are cut anywhere; some are long, and some are wrong.
func (c *client) data(rows []*attempt) (out []*message) {
	var b strings.Builder
	for _, a := range rows {
		note := "copied"
		switch {
		case c.chance(0.03):
			note = strconv.Itoa(c.size()) // fails with a long error
		case c.chance(c.door.long):
			note = strings.Repeat("y", c.size())
		}
		fmt.Fprintf(&b, "%d\t%s\n", a.id, note)
	}
	if c.chance(0.08) {
		b.WriteString("no number\tcopied\n")
	}
	for text := b.String(); text != ""; {
		n := len(text)
		if c.chance(0.5) {
			n = 1 + c.rnd.IntN(n)
		}
		out = append(out, copyData(text[:n]))
		text = text[n:]
	}
	return out
}

// endOfCopy is CopyDone, or CopyFail.
func (c *client) endOfCopy() []*message {
	if c.chance(0.08) {
		return []*message{copyFail()}
	}
	return []*message{copyDone()}
}
