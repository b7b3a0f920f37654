package translate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgguard/proxy/wire"
)

// picker chooses: a number below n.
type picker interface{ pick(n int) int }

// house is a server of the play: what is there, and what a guard believes of it.
type house struct {
	far
	pg   *postgres
	to   *player // who has it; nil: nobody, or one who has gone
	gone *orphan // of one who has gone
}

// player is a client of the play, and the server that it would have without a guard.
type player struct {
	who    string
	talk   *talk
	direct *postgres
	at     *house // the server that it has
	seen   []byte // what it was told, but for settings that are reported
	writes []string
	should []string // what direct has committed
	asked  int      // how many ReadyForQuery it has asked for
	doubt  bool     // it could not be kept in step with its server, and the guard says so; or it did what no guard follows
}

// play is a few clients and servers with a guard between.
type play struct {
	picker
	stage
	shelf   *shelf
	card    *card
	seats   *seats
	houses  []*house
	players []*player
	log     []string
	logs    bool
}

// stage is what a play begins with.
type stage struct {
	servers, clients int
	max, room        int
	session, unshare bool
	eager, eighteen  bool
}

func newPlay(p picker, s stage) *play {
	y := &play{picker: p, stage: s, shelf: newShelf(), card: &card{age: 1, bodies: 1, stale: true}, seats: &seats{room: s.room}}
	for range s.servers {
		h := &house{pg: newPostgres()}
		h.session = NewServer()
		h.pg.eighteen = s.eighteen
		h.taken = func(b []byte) { h.pg.in = append(h.pg.in, b...) }
		y.houses = append(y.houses, h)
	}
	for i := range s.clients {
		t := terms(y.shelf, y.card, y.seats)
		t.MaxPrepared, t.Session, t.PrepareUnnamed = s.max, s.session, !s.unshare
		y.enter(fmt.Sprintf("client %d", i), t)
	}
	return y
}

// enter has a client come.
func (y *play) enter(who string, t *Terms) {
	c := &player{who: who, talk: newTalk(t), direct: newPostgres()}
	c.direct.who, c.direct.eighteen = who, y.eighteen
	c.direct.commits = func(w string) { c.should = append(c.should, w) }
	c.talk.eager = y.eager
	c.talk.read = func(m said) { c.goes(m.bytes) }
	c.talk.wrote = func(b []byte) { y.note("  %s to its server: %s", who, shown(b, showClients)) }
	y.players = append(y.players, c)
}

// goes has some of what a client sends reach the server that it would have without a guard.
func (c *player) goes(b []byte) {
	c.direct.in = append(c.direct.in, b...)
	for c.direct.step() {
	}
	c.doubt = c.doubt || c.direct.odd
}

func (y *play) note(format string, args ...any) {
	if y.logs {
		y.log = append(y.log, fmt.Sprintf(format, args...))
	}
}

// act does something that can be done: false if there is nothing.
func (y *play) act() bool {
	var can []func()
	for _, c := range y.players {
		if y.moves(c) {
			can = append(can, func() { y.move(c) })
		}
	}
	for i, h := range y.houses {
		if _, size, ok, _ := wire.Peek(h.pg.in); ok && size <= len(h.pg.in) && !h.pg.dead {
			can = append(can, func() { h.pg.step() })
		}
		if len(h.pg.out) > 0 {
			can = append(can, func() { y.deliver(i, h) })
		}
	}
	if len(can) == 0 {
		return false
	}
	if y.pick(16) == 0 { // what servers have is old now
		for _, c := range y.players {
			c.talk.now = c.talk.now.Add(time.Hour)
		}
	}
	can[y.pick(len(can))]()
	return true
}

// moves is true if a client has something to do.
func (y *play) moves(c *player) bool {
	switch c.talk.phase {
	case waiting:
		return y.vacant() != nil
	case preparing:
		return false
	}
	return len(c.talk.tail) > 0 || (len(c.talk.in) > 0 && !c.talk.holds())
}

// vacant is a server that nobody has, nil if there is none.
func (y *play) vacant() *house {
	for _, h := range y.houses {
		if !h.lent && !h.pg.dead {
			return h
		}
	}
	return nil
}

// move does what a client has to do.
func (y *play) move(c *player) {
	switch {
	case c.talk.phase == waiting:
		h := y.vacant()
		if n := y.pick(len(y.houses)); !y.houses[n].lent && !y.houses[n].pg.dead {
			h = y.houses[n]
		}
		h.to, h.pg.who, c.at = c, c.who, h
		h.pg.commits = func(w string) { c.writes = append(c.writes, w) }
		c.talk.granted(&h.far)
	case len(c.talk.tail) > 0:
		piece := c.talk.tail[:1+y.pick(len(c.talk.tail))]
		c.goes(piece)
		c.talk.piece(piece)
	default:
		y.note("%s: %s", c.who, shown(c.talk.in[0].bytes, showClients))
		c.talk.next()
	}
	y.after(c)
}

// deliver has some of what a server says reach who has it.
func (y *play) deliver(i int, h *house) {
	n := 1 + y.pick(min(len(h.pg.out), 8))
	list := h.pg.out[:n]
	h.pg.out = h.pg.out[n:]
	for _, m := range list {
		m = bytes.Clone(m)
		y.note("  server %d: %s", i, shown(m, showServers))
		switch {
		case h.to != nil && h.to.talk.srv == &h.far:
			h.to.talk.receive(m, true)
		case h.gone != nil:
			h.gone.receive(m, true)
		default: // its client could not be kept in step with it
			if h.to != nil {
				y.after(h.to)
			}
			return
		}
	}
	if c := h.to; c != nil {
		c.talk.flush()
		y.after(c)
	}
}

// after notes what a client was told, and whether it still has its server.
func (y *play) after(c *player) {
	eachMessage(c.talk.heard, func(m []byte, whole bool) {
		if m = told(m); m != nil {
			c.seen = append(c.seen, m...)
			y.note("  %s hears %s", c.who, shown(m, showServers))
		}
	})
	c.talk.heard = nil
	c.doubt = c.doubt || c.talk.vague || c.talk.phase == lost || (c.talk.srv != nil && c.talk.lease.Doubt())
	if c.at != nil && c.talk.srv == nil {
		if c.talk.phase == lost {
			c.at.pg.ends()
		}
		c.at.to, c.at = nil, nil
	}
}

// heard is what a client would be told without a guard.
func (c *player) wants() (stream []byte) {
	for _, m := range c.direct.out {
		stream = append(stream, told(m)...)
	}
	return stream
}

// told is what a message that a client is told is for a comparison. Settings that are reported are another part's to tell; a text that must
// fail in a transaction that has failed may have been handed over behind another that fails first; and what a server finds where copy data
// should be may be the guard's.
func told(m []byte) []byte {
	switch {
	case m[0] == wire.ParameterStatus:
		return nil
	case m[0] == wire.ErrorResponse && (bytes.Contains(m, []byte("C25P02\x00")) || bytes.Contains(m, []byte("C42601\x00"))):
		return wire.AppendText(nil, wire.ErrorResponse, "SERROR", "C25P02", "")
	case m[0] == wire.ErrorResponse && bytes.Contains(m, []byte("unexpected message type")):
		return wire.AppendText(nil, wire.ErrorResponse, "SERROR", "C08P01", "")
	}
	return m
}

// fault returns what is wrong now, "" if nothing is.
func (y *play) fault() string {
	for _, c := range y.players {
		if c.doubt || len(c.talk.tail) > 0 { // what goes ahead of a message may fail before its end is there
			continue
		}
		if want := c.wants(); !bytes.HasPrefix(want, c.seen) {
			return fmt.Sprintf("%s hears\n  %s\nwant\n  %s", c.who, shown(c.seen, showServers), shown(want, showServers))
		}
		if len(c.writes) > len(c.should) || !slices.Equal(c.writes, c.should[:len(c.writes)]) {
			return fmt.Sprintf("%s has committed %q, want %q", c.who, c.writes, c.should)
		}
	}
	for i, h := range y.houses {
		if text := h.fault(); text != "" {
			return fmt.Sprintf("server %d: %s", i, text)
		}
	}
	return ""
}

// fault is what is wrong with a server.
func (h *house) fault() string {
	l := h.lease()
	if l == nil {
		switch {
		case h.pg.dead:
		case !h.pg.idle():
			return "nobody has it, and it is not idle"
		case h.pg.block != wire.Idle || h.pg.started:
			return "nobody has it, and its transaction has not ended"
		case len(h.pg.temp)+len(h.pg.listens)+len(h.pg.cursors) > 0 || h.pg.locks:
			return "nobody has it, and something was left in it"
		case h.pg.holds() != h.session.settings:
			return fmt.Sprintf("it has %v, not %v", h.pg.holds().shows(), h.session.settings.shows())
		}
	} else {
		if h.to != nil && h.to.talk.phase == lost {
			return ""
		}
		if l.doubt || l.fatal != nil {
			return ""
		}
		if text := h.counts(l); text != "" {
			return text
		}
		switch quiet := l.Quiet(); {
		case quiet && !h.pg.idle():
			return fmt.Sprintf("its lease is quiet, but it is not: in %s, out %d, skipping %t, copying %t, open %t",
				shown(h.pg.in, showClients), len(h.pg.out), h.pg.skipping, h.pg.copies != 0, h.pg.open)
		case !quiet && h.pg.idle() && !l.partial && !l.stands:
			return "it is idle, but its lease is not quiet: " + l.shows() + "; " + l.owed.shows()
		case !quiet || l.Untouched():
			return ""
		}
	}
	if h.pg.dead {
		return ""
	}
	return h.pg.believes(&h.session)
}

// counts is what a lease counts that is not what is owed.
func (h *house) counts(l *Lease) string {
	ready, ends := 0, 0
	for i := l.owed.first; i < len(l.owed.row); i++ {
		if endsClients(&l.owed.row[i]) {
			ready++
		}
		if l.owed.row[i].why == settings || l.owed.row[i].why == begin || l.owed.row[i].why == fail {
			ends++
		}
	}
	switch {
	case ready != l.readies || ends != l.ahead:
		return fmt.Sprintf("%d ReadyForQuery are owed to the client, %d go ahead, not %d and %d", ready, ends, l.readies, l.ahead)
	case l.readies > 1:
		return "two ReadyForQuery are owed to the client"
	}
	return ""
}

// lease is who has it.
func (h *house) lease() *Lease {
	switch {
	case h.to != nil && h.to.talk.srv == &h.far:
		return &h.to.talk.lease
	case h.gone != nil && h.gone.stage != 'f' && h.gone.stage != 'u':
		return &h.gone.lease
	}
	return nil
}

// finished returns what is wrong when nothing is left to do.
func (y *play) finished() string {
	for _, c := range y.players {
		if c.doubt || c.talk.phase == waiting { // for a server that another keeps
			continue
		}
		if want := c.wants(); !bytes.Equal(want, c.seen) {
			return fmt.Sprintf("%s (%s) has heard\n  %s\nwant\n  %s", c.who, c.talk, shown(c.seen, showServers), shown(want, showServers))
		}
		if !slices.Equal(c.writes, c.should) {
			return fmt.Sprintf("%s has committed %q in the end, want %q", c.who, c.writes, c.should)
		}
	}
	return y.counts()
}

// counts returns what is counted wrong.
func (y *play) counts() string {
	held := map[*Statement]int32{}
	pinned := 0
	for _, c := range y.players {
		for _, n := range c.talk.client.names {
			held[n.st]++
		}
		if c.talk.srv != nil && c.talk.lease.pins != 0 {
			pinned++
		}
	}
	for _, h := range y.houses {
		if h.gone != nil && h.gone.stage != 'f' && h.gone.stage != 'u' && h.gone.lease.pins != 0 {
			pinned++
		}
	}
	for st, n := range held {
		if st.Held.Load() != n {
			return fmt.Sprintf("%s is held by %d names, not %d", st.shows(), n, st.Held.Load())
		}
	}
	own := 0
	for st := range held {
		if !st.Shared {
			own += len(st.Body)
		}
	}
	if own != y.shelf.own {
		return fmt.Sprintf("clients hold %d bytes by name that nobody shares, %d are counted", own, y.shelf.own)
	}
	if pinned != y.seats.taken {
		return fmt.Sprintf("%d clients keep their servers, %d are counted", pinned, y.seats.taken)
	}
	return ""
}

// story is that of a play, for a failure.
func (y *play) story() string { return strings.Join(y.log, "\n") }
