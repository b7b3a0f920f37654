package translate

import (
	"strings"

	"pgguard/proxy/wire"
)

// texts that clients send.
var plainTexts = []string{
	"select 1", "select 2", "insert into t values (1)", "insert into t values (2)", "select 1/0", "selec", "update t set a = fail", "", "begin",
	"commit", "rollback", "begin isolation level repeatable read", "select 1; insert into t values (3)", "begin; insert into t values (4); commit",
	"insert into t values (5); update t set a = fail", "commit; insert into t values (6)", "copy t from stdin", "copy t from stdin where fail", "copy t to stdout",
}

// sessionTexts leave something in a session, or may, or ask for it.
var sessionTexts = []string{
	"set work_mem = '1MB'", "set work_mem = '2MB'", "set timezone = 'CET'", "reset work_mem", "reset all", "set local work_mem = '3MB'", "show work_mem", "show timezone",
	"set app.x = '1'", "select current_setting('app.x', true)", "set role = 'r'", "reset role", "listen n", "unlisten n", "create temp table tt as select 1",
	"drop table tt", "select a from tt", "declare c cursor with hold for select 1", "close c", "select pg_advisory_lock(1)", "select pg_advisory_unlock(1)",
	"select nextval('s')", "select lastval()", "select f()", "select g()", "discard all", "discard sequences",
	"prepare q as select 3", "execute q", "deallocate q", "deallocate __pgguard_1", "execute __pgguard_2", "prepare __pgguard_3 as select 3", "execute a", "deallocate a", "deallocate b", "deallocate all", "load 'x'",
}

var names = []string{"", "", "a", "b"}

// sends makes something that a client may send. With PostgreSQL 18 nothing ahead of which sequences are to be forgotten: an Execute of the guard's in
// a batch keeps a query from ending it.
func (y *play) sends(texts []string) []said {
	var list []said
	add := func(text string) {
		m, err := all(text, (*word).clientSays)
		if err != nil {
			panic(err)
		}
		list = append(list, m...)
	}
	text := func() string { return texts[y.pick(len(texts))] }
	name := func() string { return names[y.pick(len(names))] }
	portal := func() string { return []string{"", "", "", "p"}[y.pick(4)] }
	one := func(typ byte) {
		switch typ {
		case 'Q':
			add(call("Q", text()))
		case 'P':
			add(call("P", name(), text()))
		case 'B':
			add(call("B", portal(), name()))
		case 'D', 'C':
			if y.pick(2) == 0 {
				add(call(string(typ)+"S", name()))
			} else {
				add(call(string(typ)+"P", portal()))
			}
		case 'E':
			if p := portal(); y.pick(4) == 0 {
				add(call("E", p, "1"))
			} else {
				add(call("E", p))
			}
		case 'd':
			add([]string{`d("1")`, `d("1")`, `d("wrong")`}[y.pick(3)])
		case 'F':
			if !y.eighteen {
				add("F")
			}
		default:
			add(string(typ))
		}
	}
	switch y.pick(8) {
	case 0:
		one('Q')
	case 1: // as drivers do
		n := name()
		add(call("P", n, text()) + " " + call("DS", n) + " " + call("B", "", n) + " E S")
	case 2:
		n := name()
		add(call("B", "", n) + " E S")
	case 3:
		add(call("P", name(), text()) + " S")
	case 4:
		text := []string{"copy t from stdin", "copy t from stdin where fail"}[y.pick(4)/3]
		if y.pick(2) == 0 {
			add(call("Q", text))
		} else {
			add(call("P", "", text) + " B E " + []string{"", "H", "S"}[y.pick(3)])
		}
		for range y.pick(3) {
			one('d')
		}
		add([]string{"c", "f(\"no\")", "c"}[y.pick(3)])
		add("S")
	default:
		for range 1 + y.pick(4) {
			one("QPPBBBDEEECSSHF"[y.pick(15)])
		}
		if y.pick(3) > 0 {
			add("S")
		}
	}
	if y.pick(8) == 7 && len(list) > 0 && !y.eighteen {
		i := y.pick(len(list))
		list[i] = y.cut(list[i])
	}
	return list
}

// cut makes a message longer than a buffer: the names in it are in its start.
func (y *play) cut(m said) said {
	from := wire.HeaderSize
	switch m.bytes[0] {
	case wire.Query, wire.CopyData:
	case wire.Parse, wire.Bind:
		from += strings.IndexByte(string(m.bytes[from:]), 0) + 1
		if m.bytes[0] == wire.Bind {
			from += strings.IndexByte(string(m.bytes[from:]), 0) + 1
		}
	default:
		return m
	}
	if strings.Contains(string(m.bytes), StatementPrefix) {
		return m // of a long text that is known too late
	}
	if from >= len(m.bytes) || (m.bytes[0] == wire.Parse && m.bytes[wire.HeaderSize] == 0) {
		return m // an unnamed statement that is too long to be kept is promised to be there for one Bind only
	}
	from += y.pick(len(m.bytes) - from)
	return said{m.bytes[:from], m.bytes[from:]}
}
