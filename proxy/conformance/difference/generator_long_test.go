package difference

import (
	"strconv"
	"strings"
)

// sizes are about what the guard's buffer holds (16 KiB less a little), and more than some of them.
var sizes = []int{16200, 16240, 16281, 16368, 16384, 16691, 16793, 17408, 65536}

// long is a number of letters about one of the sizes.
func (g *generator) long() int {
	n := sizes[g.r.IntN(len(sizes))]
	if g.one(2) {
		n += g.r.IntN(40) - 30
	}
	return n
}

// letters are many.
func (g *generator) letters() string { return strings.Repeat("z", g.long()) }

// filler is letters for the inside of a text: in scripts with long texts sometimes many.
func (g *generator) filler() string {
	if g.longs && g.one(3) {
		return g.letters()
	}
	return "few"
}

// longText is a text, or one whose answer, an error, a notice or a row, is about as long as the buffer.
func (g *generator) longText() string {
	text := g.pick("select 1 /* @ */", "/* @ */ select 1", "/* @ */ set work_mem = '5MB'", "set work_mem = '6MB' /* @ */",
		"select '@'", "select '@'::int", "select @", "select 1 as @", "select * from @", "set app.x = '@'", "set nosuch = '@'",
		"select w.warn('@')", "do $$ begin raise exception '%', repeat('z', #); end $$",
		"do $$ begin raise exception 'short' using detail = repeat('z', #); end $$",
		"do $$ begin raise notice '%', repeat('z', #); end $$", "do $$ begin perform w.warn(repeat('z', #)); perform 1 / 0; end $$",
		"select repeat('z', #)", "begin; select 1 /* @ */", "begin /* @ */", "commit /* @ */", "rollback /* @ */",
		"prepare a as select 1 /* @ */", "deallocate a /* @ */", "execute a /* @ */", "prepare @ as select 1", "execute @", "deallocate @",
		"listen @", "select pg_notify('ch', '@')", "declare p cursor with hold for select '@'", "set search_path = w, @", "-- @",
		"select 1 / 0 /* @ */", "select 1; select 1 / 0 /* @ */; select 2", "selec /* @ */", "select pg_advisory_lock(1) /* @ */")
	n := g.long()
	return strings.NewReplacer("@", strings.Repeat("z", n), "#", strconv.Itoa(n)).Replace(text)
}

// longestName is how long PostgreSQL lets the messages be that have little more than a name (PQ_SMALL_MESSAGE_LIMIT), but
// for Parse and Bind.
const longestName = 9980

// longName is a name of n letters, or a few more. They differ at their start: PostgreSQL looks at the first 63.
func longName(n int) string { return strconv.Itoa(n) + strings.Repeat("z", n) }

// longBatch is a batch with one thing that is about as long as the buffer.
func (g *generator) longBatch() []message {
	s, p, z := "", "", g.letters()
	if g.one(2) {
		s = g.pick(statements...)
	}
	args := []string{"select $1::text", "select $1::int", "select length($1)", "insert into t1 values (400, $1) on conflict do nothing", "select w.warn($1)"}
	switch g.r.IntN(8) {
	case 0:
		s = longName(len(z))
		m, a := g.prepare(s)
		return append(m, g.run(p, s, a)...)
	case 1:
		p, s = longName(longestName), longName(longestName-1)
	case 2: // its description is long
		types := make([]uint32, g.long()/4)
		for i := range types {
			types[i] = 23
		}
		return []message{parse(s, "select 1", types...), describe('S', s)}
	case 3:
		b := bind(p, s, arg{value: z}, arg{value: g.letters()})
		return []message{parse(s, "select $1::text, $2::text"), b, describe('P', p), execute(p, 0)}
	case 4:
		g.params[s] = 1
		return []message{parse(s, g.pick(args...)), bind(p, s, arg{value: z}), execute(p, 0)}
	case 5:
		z = longName(longestName)
		return []message{closing('S', g.pick(z, s)), describe('S', g.pick(z, s)), closing('P', g.pick(z, p))}
	default:
		g.params[s] = 0
		return []message{parse(s, g.longText()), bind(p, s), describe('P', p), execute(p, 0)}
	}
	m, a := g.prepare(s)
	return append(append(m, g.run(p, s, a)...), closing('P', p), closing('S', s))
}

// longStep is a step with long things, alone or among others.
func (g *generator) longStep() step {
	st := step{kind: client}
	for range 1 + g.r.IntN(3) {
		if g.one(3) {
			st.messages = append(st.messages, g.batch()...)
		}
		switch g.r.IntN(6) {
		case 0, 1:
			text := g.longText()
			g.believe(text)
			st.messages = append(st.messages, query(text))
		default:
			st.messages = append(st.messages, g.longBatch()...)
		}
		if g.one(2) {
			st.messages = append(st.messages, sync)
		}
	}
	st.messages = append(st.messages, sync)
	return st
}
