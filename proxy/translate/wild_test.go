package translate

import (
	"fmt"

	"pgguard/proxy/wire"
)

// anything is what a server may say, sense or nonsense.
var anything = []string{
	"1", "2", "3", "n", "s", "I", "V", "T", "t", "H", "G", "W", "c", `d("x")`, `D("1")`, `D("s","a","b")`, `D("p","","")`, `D("x","y","z"...)`, "A",
	`C("SELECT 1")`, `C("DISCARD ALL")`, `C("DEALLOCATE ALL")`, `C("DISCARD SEQUENCES")`, `C("SET")`, "C!()", `C!("D")`,
	"Z(I)", "Z(I)", "Z(T)", "Z(E)", `Z!("")`, `Z!("IT")`,
	`S("client_encoding","LATIN1")`, `S!("x")`, `N("01000","remark")`, `N(WARNING,"57P02","gone")`, `N!("x")`,
	`E("42601","no")`, `E("22021","no")`, `E("08P01","no")`, `E("25P02","no")`, `E("57014","no"...)`, `E!("x")`, `E!("")`,
	`E("26000","prepared statement \"__pgguard_1\" does not exist")`, `E("0A000","stale","RevalidateCachedQuery")`, `E("42P05","\"__pgguard_taken\"")`,
	`E("26000","__pgguard_stale")`, `E("XX000","__pgguard_"...)`, `E(FATAL,"57P01","gone")`, `?!("x")`, `R!("\x00\x00\x00\x00")`,
}

// endings are what would end each kind of answer.
var endings = map[kind][]string{
	query: {`C("SELECT 1")`, "Z(I)", "Z(T)", "Z(E)"}, sync: {"Z(I)", "Z(T)", "Z(E)"}, parse: {"1"}, bind: {"2"}, describe: {"T", "n"},
	execute: {`C("SELECT 1")`, "s", "I", "G"}, closing: {"3"},
}

// says makes a message of a server that says anything, more often than not what it owes.
func (y *play) says(l *Lease) said {
	list := anything
	if e := l.owed.front(); e != nil && y.pick(4) > 0 {
		list = endings[e.kind]
	}
	out, err := all(list[y.pick(len(list))], (*word).serverSays)
	if err != nil {
		panic(err)
	}
	return out[0]
}

// wild has a client with a server that says anything, and returns what is wrong: what the guard counts is not what is owed, more is told than
// was asked for, or what answers the guard is told.
func (y *play) wild(texts []string, turns int) string {
	c, h := y.players[0], y.houses[0]
	h.taken = func([]byte) {}
	c.talk.read = func(m said) {
		if ends(m.bytes[0]) {
			c.asked++
		}
	}
	for range turns {
		switch k := c.talk; {
		case k.phase == lost:
			return y.counts()
		case k.phase == waiting:
			h.to, c.at = c, h
			k.granted(&h.far)
		case k.srv == nil || y.pick(3) == 0:
			for len(k.in) == 0 { // of some messages there may be none
				k.in = y.sends(texts)
			}
			y.note("%s: %s", c.who, shown(k.in[0].bytes, showClients))
			k.next()
		default:
			if text := y.hears(c, y.says(&k.lease)); text != "" {
				return text
			}
		}
		if text := y.consistent(c, h); text != "" {
			return text
		}
	}
	return y.wildEnd(c)
}

// hears gives a client's lease a message of a server that says anything.
func (y *play) hears(c *player, m said) string {
	l := &c.talk.lease
	y.note("  server: %s", shown(m.bytes, showServers))
	typ, hides := m.bytes[0], false
	if e := l.owed.front(); e != nil && e.whose == guard {
		hides = e.ends(typ) || (e.kind == query && typ != wire.NotificationResponse && typ != wire.ParameterStatus)
		hides = hides && typ != wire.ReadyForQuery && (typ != wire.ErrorResponse || e.kind == query)
	}
	kept := c.talk.kept != nil
	fate := c.talk.receive(m.bytes, len(m.tail) == 0)
	if y.pick(2) == 0 {
		c.talk.flush()
	}
	switch {
	case hides && fate == Pass:
		return "a part of the answer to the guard is passed on"
	case fate == Retract && !kept:
		return "an answer is retracted that is not to come again"
	}
	return ""
}

// consistent is what is wrong with what a guard counts.
func (y *play) consistent(c *player, h *house) string {
	told := 0
	eachMessage(c.talk.heard, func(m []byte, whole bool) {
		if m[0] == wire.ReadyForQuery {
			told++
		}
	})
	if c.talk.phase == lost || c.talk.srv == nil {
		if told > c.asked {
			return fmt.Sprintf("%d ReadyForQuery are told, %d were asked for", told, c.asked)
		}
		return ""
	}
	l := &c.talk.lease
	asks := false
	for i := l.owed.first; i < len(l.owed.row); i++ {
		asks = asks || l.owed.row[i].why == ask
	}
	switch {
	case told+l.readies > c.asked:
		return fmt.Sprintf("%d ReadyForQuery are told and %d to come, %d were asked for", told, l.readies, c.asked)
	case asks != (l.question != nil):
		return "a question is owed an answer, or is none"
	case l.Doubt():
		return ""
	}
	return h.counts(l)
}

// wildEnd has the client leave, and its server go on saying anything.
func (y *play) wildEnd(c *player) string {
	if text := y.counts(); text != "" {
		return text
	}
	o := c.talk.leave()
	if o == nil {
		return ""
	}
	for range 100 {
		for n := 0; o.settle(); n++ {
			if n > 10 {
				return "there is no end to what the server is sent"
			}
		}
		if o.stage == 'f' || o.stage == 'u' {
			break
		}
		m := y.says(&o.lease)
		y.note("  server: %s", shown(m.bytes, showServers))
		o.receive(m.bytes, len(m.tail) == 0)
	}
	o.lease.Unpin()
	if y.seats.taken != 0 {
		return "a client that has gone is counted as one that keeps its server"
	}
	return o.fault
}
