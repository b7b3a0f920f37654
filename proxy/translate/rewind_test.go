package translate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pgguard/proxy/wire"
)

// warm has a client do anything until it has no server, and returns false if it never gets there.
func (y *play) warm(c *player, texts []string) bool {
	for range y.pick(30) {
		if y.pick(4) == 0 || !y.act() {
			c.talk.in = append(c.talk.in, y.sends(texts)...)
		}
	}
	c.talk.in = append(c.talk.in, said{bytes: wire.AppendEmpty(nil, wire.Sync)}, said{bytes: wire.AppendText(nil, wire.Query, "rollback")})
	for y.act() {
	}
	return c.talk.phase == free
}

// TestSecondTryBeginsWhereTheFirstDid has a server fail a request that may be sent again in any of its messages: then the client's names, its
// unnamed statement and its settings are what they were before, and so is what is counted of its statements.
func TestSecondTryBeginsWhereTheFirstDid(t *testing.T) {
	texts := []string{"select 1", "select 2", "select 3", "insert into t values (1)", "", "show work_mem", "set work_mem = '1MB'", "begin", "commit"}
	tried := 0
	rapid.Check(t, func(t *rapid.T) {
		p := rapidPicker{t}
		y := newPlay(p, stage{servers: 1, clients: 1, max: 2 + 20*p.pick(2), room: 10})
		y.logs = true
		c, h := y.players[0], y.houses[0]
		if !y.warm(c, texts) {
			return
		}
		l := &c.talk.lease
		l.Begin(&c.talk.client, &h.session)
		r := y.repeatable(c, texts)
		before := c.talk.client.shows()
		out, _ := l.Prefix(&r.Request, r.from, true, nil)
		l.Keep()
		out = slices.Concat(out, l.Send(&r.Request, r.from, nil, c.talk.now))
		y.note("%s: %s\nto server: %s", before, shown(r.from, showClients), shown(out, showClients))
		h.pg.in, h.pg.stale = out, 1+p.pick(8)
		if !y.retracts(h, l) {
			return
		}
		tried++
		l.Rewind()
		if is := c.talk.client.shows(); is != before {
			t.Fatalf("%s\nthe client has %s, had %s", y.story(), is, before)
		}
		if text := y.counts(); text != "" {
			t.Fatalf("%s\n%s", y.story(), text)
		}
		h.pg.in = l.Send(&r.Request, r.from, nil, c.talk.now)
		l.Renewed()
		y.note("once more: %s", shown(h.pg.in, showClients))
		for h.pg.step() {
		}
		for _, m := range h.pg.out {
			y.note("  %s", shown(m, showServers))
			l.Receive(slices.Clone(m), true)
		}
		h.pg.out = nil
		if text := h.pg.believes(&h.session); text != "" || (!l.Quiet() && l.question == nil) {
			t.Fatalf("%s\n%s; %s; %s", y.story(), text, l.shows(), l.owed.shows())
		}
	})
	if tried == 0 {
		t.Error("no request was tried twice")
	}
}

// repeatable makes a request that may be sent again.
func (y *play) repeatable(c *player, texts []string) *pending {
	text := "DS(\"\") "
	for range y.pick(6) {
		name := names[y.pick(len(names))]
		switch y.pick(5) {
		case 0:
			text += call("P", name, texts[y.pick(len(texts))]) + " "
		case 1:
			text += call("CS", name) + " "
		case 2:
			text += call("DS", name) + " "
		default:
			text += call("B", "", name) + " E "
		}
	}
	if y.pick(2) > 0 {
		text = text[len("DS(\"\") "):] + "DP "
	}
	list, err := all(text+"B(\"\",\"a\") S", (*word).clientSays)
	if err != nil {
		panic(err)
	}
	r := new(pending)
	r.Reset()
	for _, m := range list {
		msg := c.talk.message(m)
		c.talk.client.Note(&r.Request, &msg, Standing{})
		r.from = append(r.from, m.bytes...)
	}
	return r
}

// retracts has the server answer until it has said that something is stale, and the request is to be sent again.
func (y *play) retracts(h *house, l *Lease) bool {
	for h.pg.step() {
	}
	retracted := false
	for _, m := range h.pg.out {
		y.note("  %s", shown(m, showServers))
		retracted = l.Receive(slices.Clone(m), true) == Retract || retracted
	}
	h.pg.out = nil
	return retracted && l.Again()
}

// TestStartOfAMessageDoesWhatTheWholeDoes gives the same message of a server, once whole and once only its start, to two leases in the same
// state: they are in the same state afterwards, and it is passed on alike.
func TestStartOfAMessageDoesWhatTheWholeDoes(t *testing.T) {
	texts := slices.Concat(plainTexts, sessionTexts)
	rapid.Check(t, func(t *rapid.T) {
		turns := rapid.IntRange(0, 40).Draw(t, "turns")
		choices := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "choices")
		w := word{
			name: rapid.SampledFrom([]string{"E", "N", "T"}).Draw(t, "type"),
			parts: []string{
				rapid.SampledFrom([]string{"ERROR", "FATAL", "WARNING"}).Draw(t, "severity"),
				rapid.SampledFrom([]string{"42601", "22021", "08P01", "26000", "0A000", "57P02", "57014"}).Draw(t, "code"),
				"a long message",
			},
			cut: rapid.IntRange(2, 3).Draw(t, "cut"),
		}
		m, err := w.serverSays()
		if err != nil {
			t.Fatal(err)
		}
		var is [2]string
		for i := range is {
			y := newPlay(&bytesPicker{choices}, stage{servers: 1, clients: 1, max: 3, room: 1})
			c := y.players[0]
			for range turns {
				if y.pick(4) == 0 || !y.act() {
					c.talk.in = append(c.talk.in, y.sends(texts)...)
				}
			}
			if c.talk.srv == nil {
				return
			}
			msg, whole := slices.Concat(m.bytes, m.tail), true
			if i == 1 {
				msg, whole = slices.Clone(m.bytes), false
			}
			l := &c.talk.lease
			fate := l.Receive(msg, whole)
			code, noticed := l.Code(), l.Noticed()
			is[i] = fmt.Sprintf("fate %d, code %s, noticed %t, to server %q\n%s\n%s\n%s\n%s", fate, code, noticed, l.Out(),
				l.shows(), l.owed.shows(), c.talk.client.shows(), c.at.session.shows())
		}
		if is[0] != is[1] {
			t.Fatalf("whole:\n%s\nits start:\n%s", is[0], is[1])
		}
	})
}

// TestWhatIsNotSentChangesNothing notes a request, which is refused, and then another: the client is what it was, and the second is translated
// as if there had been no first. Only the catalog knows more.
func TestWhatIsNotSentChangesNothing(t *testing.T) {
	texts := slices.Concat(plainTexts, sessionTexts)
	rapid.Check(t, func(t *rapid.T) {
		choices := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "choices")
		more := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "refused")
		last := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "sent")
		var sent [2]string
		for i := range sent {
			y := newPlay(&bytesPicker{choices}, stage{servers: 1, clients: 1, max: 10, room: 10, unshare: true})
			c, h := y.players[0], y.houses[0]
			y.card.currval = true // which a text that is refused may have told
			if !y.warm(c, texts) {
				return
			}
			before := c.talk.client.shows()
			if i == 1 {
				y.picker = &bytesPicker{more}
				y.noted(c, texts)
				if is := c.talk.client.shows(); is != before {
					t.Fatalf("the client has %s, had %s", is, before)
				}
			}
			y.picker = &bytesPicker{last}
			r := y.noted(c, texts)
			l := &c.talk.lease
			l.Begin(&c.talk.client, &h.session)
			prefix, _ := l.Prefix(&r.Request, r.from, true, nil)
			sent[i] = renumbered(fmt.Sprintf("%s %s\n%s", shown(prefix, showClients), shown(l.Send(&r.Request, r.from, nil, c.talk.now), showClients), l.owed.shows()))
		}
		if y := sent[0]; y != sent[1] {
			t.Fatalf("nothing before it:\n%s\nbehind what was refused:\n%s", sent[0], sent[1])
		}
	})
}

var numbers = regexp.MustCompile(`(#|` + StatementPrefix + `)\d+`)

// renumbered gives statements numbers in the order in which they are told of.
func renumbered(text string) string {
	var seen []string
	return numbers.ReplaceAllStringFunc(text, func(name string) string {
		n := strings.TrimPrefix(strings.TrimPrefix(name, "#"), StatementPrefix)
		if !slices.Contains(seen, n) {
			seen = append(seen, n)
		}
		return fmt.Sprintf("statement %d", slices.Index(seen, n))
	})
}

// noted makes a request of something that a client may send.
func (y *play) noted(c *player, texts []string) *pending {
	r := new(pending)
	r.Reset()
	for _, m := range y.sends(texts) {
		msg := c.talk.message(m)
		c.talk.client.Note(&r.Request, &msg, Standing{})
		r.from = append(r.from, m.bytes...)
		if r.Full() {
			break
		}
	}
	return r
}
