package difference

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
)

// generator makes scripts from a seed. What it believes of the session guides it and need not be true.
type generator struct {
	r      *rand.Rand
	fams   []family
	steps  []step
	inTx   bool
	params map[string]int // arguments of the prepared statements, by name
	longs  bool           // some texts are long
	left   bool           // clients leave in the middle
	called bool           // functions are called by message
	went   int            // the last number put into went
	kind   kind           // of the guard
}

// longest is how many steps of the client a script has at most.
const longest = 40

// generate returns the script of a seed for a guard without refusals.
func generate(seed uint64) script { return generateFor(plainGuard, seed) }

// generateFor returns the script of a seed for a kind of guard.
func generateFor(k kind, seed uint64) script {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0x5eed)), params: map[string]int{}, kind: k}
	if k.moving() {
		return g.changingScript()
	}
	s := script{guard: k, user: "app"}
	if g.one(5) {
		s.user = "postgres"
	}
	if g.one(3) {
		s.options = g.startup()
	}
	g.choose()
	g.longs, g.left, g.called = g.one(6), g.one(4), g.one(5)
	steps := longest
	if k != plainGuard {
		steps /= 2 // to be refused takes its time
	}
	for range 3 + g.r.IntN(steps-3) {
		if k != plainGuard && (len(g.steps) == 0 || g.one(3)) {
			st := g.neighbour()
			g.steps = append(g.steps, step{kind: neighbour, messages: st.messages, holds: true})
		} else if g.one(3) {
			g.steps = append(g.steps, g.neighbour())
			if g.one(2) {
				g.steps = append(g.steps, simple(ownPid))
			}
		}
		if g.one(40) {
			g.steps = append(g.steps, step{kind: notify, channel: g.pick(channels...)})
		}
		g.client()
	}
	g.steps = append(g.steps, g.neighbour(), simple("rollback"), g.neighbour(), simple(probe))
	s.steps = g.steps
	return s
}

// one is true once in n times.
func (g *generator) one(n int) bool { return g.r.IntN(n) == 0 }

func (g *generator) pick(of ...string) string { return of[g.r.IntN(len(of))] }

// startup is parameters of the start-up packet.
func (g *generator) startup() []string {
	all := [][]string{
		{"options", "-c work_mem=18MB"}, {"options", "-c app.x=start --search_path=public,w"}, {"timezone", "Asia/Tokyo"},
		{"client_encoding", "LATIN1"}, {"datestyle", "German"}, {"search_path", "w"}, {"extra_float_digits", "0"},
		{"default_transaction_read_only", "on"}, {"options", "-c role=other"}, {"standard_conforming_strings", "off"},
	}
	out := all[g.r.IntN(len(all))]
	if g.one(2) {
		if more := all[g.r.IntN(len(all))]; more[0] != out[0] {
			out = append(out[:2:2], more...)
		}
	}
	return out
}

// choose takes the families of this script: few, half or nearly all.
func (g *generator) choose() {
	share := []int{10, 25, 50, 90}[g.r.IntN(4)]
	for _, f := range families {
		if g.r.IntN(100) < share {
			g.fams = append(g.fams, f)
		}
	}
	if len(g.fams) == 0 {
		g.fams = families[:1]
	}
}

// text is one text of the script's families.
func (g *generator) text() string {
	for {
		sum := 0
		for _, f := range g.fams {
			sum += f.weight
		}
		n := g.r.IntN(sum)
		for _, f := range g.fams {
			if n -= f.weight; n < 0 {
				if text := f.text(g); !isKnown(text) {
					g.believe(text)
					return text
				}
				break
			}
		}
	}
}

// ownPid asks which server the client has. It is a step of its own: the normaliser takes the value out, and needs the
// description.
const ownPid = "select pg_backend_pid()"

// believe follows the transaction state as far as the text alone shows it.
func (g *generator) believe(text string) {
	t := strings.ToLower(text)
	switch {
	case strings.HasPrefix(t, "begin"), strings.HasPrefix(t, "start"), strings.Contains(t, "and chain"), strings.HasSuffix(t, "; begin"):
		g.inTx = !strings.Contains(t, "; commit") && !strings.Contains(t, "; rollback")
	case strings.HasPrefix(t, "commit"), strings.HasPrefix(t, "end"), strings.HasPrefix(t, "abort"), strings.HasPrefix(t, "rollback") && !strings.Contains(t, "to "):
		g.inTx = false
	}
}

// texts is two or three of them in one.
func (g *generator) texts() string {
	for {
		parts := []string{g.text(), g.text()}
		if g.one(2) {
			parts = append(parts, g.text())
		}
		if all := strings.Join(parts, "; "); !isKnown(all) {
			return all
		}
	}
}

// simple is a step of one simple query.
func simple(text string) step { return step{kind: client, messages: []message{query(text)}} }

// client adds a step of the client.
func (g *generator) client() {
	switch {
	case g.longs && g.one(8):
		g.steps = append(g.steps, g.longStep())
		return
	case g.left && g.one(5):
		g.leaves()
		return
	case g.called && g.one(6):
		g.calls()
		return
	}
	switch n := g.r.IntN(20); {
	case n < 8:
		g.steps = append(g.steps, simple(g.text()))
	case n < 9:
		g.steps = append(g.steps, simple(g.texts()))
	case n < 10: // and the statement is replaced: executed in a pipeline it would take the rest for copy data
		g.steps = append(g.steps, g.copyIn(), step{kind: client, messages: []message{parse("", "select 1"), sync}})
	case n < 17:
		g.steps = append(g.steps, step{kind: client, messages: append(g.batch(), sync)})
	case n < 19:
		g.steps = append(g.steps, g.pipeline())
	default:
		g.flushed()
	}
}

// pipeline is several batches in one write, with a Sync after each or only at the end, or a simple query between.
func (g *generator) pipeline() step {
	st := step{kind: client}
	each := g.one(2)
	for range 2 + g.r.IntN(5) {
		st.messages = append(st.messages, g.batch()...)
		switch {
		case g.one(12):
			st.messages = append(st.messages, query(g.text()))
		case each:
			st.messages = append(st.messages, sync)
		case g.one(6):
			st.messages = append(st.messages, flush)
		}
	}
	st.messages = append(st.messages, sync)
	return st
}

// flushed adds a batch that is sent message by message with Flush, and then a Sync.
func (g *generator) flushed() {
	for _, m := range g.batch() {
		st := step{kind: client, messages: []message{m}}
		if m.kind == "Execute" || !g.one(3) {
			st.messages = append(st.messages, flush)
		}
		g.steps = append(g.steps, st)
	}
	g.steps = append(g.steps, step{kind: client, messages: []message{sync}})
}

// batch is messages of the extended protocol, without the Sync.
func (g *generator) batch() []message {
	s, p := "", ""
	if g.one(2) {
		s = g.pick(statements...)
	}
	if g.one(4) {
		p = g.pick(portals...)
	}
	switch n := g.r.IntN(16); {
	case n < 6:
		m, args := g.prepare(s)
		if g.one(3) {
			m = append(m, describe('S', s))
		}
		return append(m, g.run(p, s, args)...)
	case n < 7:
		m, _ := g.prepare(s)
		if g.one(2) {
			m = append(m, describe('S', s))
		}
		return m
	case n < 12:
		return g.run(p, s, g.arguments(s))
	case n < 13:
		return append([]message{closing('S', s)}, g.again(s)...)
	case n < 14:
		return []message{describe('S', s)}
	case n < 15 && !g.inTx: // to describe a portal that failed with its transaction crashes PostgreSQL 15
		return []message{describe('P', p), execute(p, 0)}
	}
	return []message{closing('P', p)}
}

// again prepares a statement that has just been closed, at times.
func (g *generator) again(s string) []message {
	if g.one(2) {
		return nil
	}
	m, args := g.prepare(s)
	return append(m, g.run("", s, args)...)
}

// run binds and executes.
func (g *generator) run(p, s string, args []arg) []message {
	b := bind(p, s, args...)
	switch g.r.IntN(8) {
	case 0, 1:
		b.formats = []int16{1}
	case 2:
		b.formats = []int16{0}
	}
	m := []message{b}
	if g.one(2) {
		m = append(m, describe('P', p))
	}
	if !g.one(6) {
		return append(m, execute(p, 0))
	}
	m = append(m, execute(p, 1), execute(p, 2))
	if g.one(2) {
		m = append(m, closing('P', p))
	}
	return m
}

// parametric are texts with arguments; each is followed by right ones.
var parametric = []struct {
	text string
	args []string
}{
	{"select $1::int + 1", []string{"1"}}, {"select $1::text", []string{"x"}}, {"select $1, $2::int", []string{"a", "2"}},
	{"select * from t1 where id = $1", []string{"2"}}, {"select * from t2 where a = any($1)", []string{"{1,2}"}},
	{"insert into t1 values ($1, $2) on conflict do nothing", []string{"200", "by argument"}},
	{"update t1 set v = $2 where id = $1 returning *", []string{"1", "changed"}}, {"select set_config($1, $2, false)", []string{"work_mem", "19MB"}},
	{"select set_config('app.x', $1, $2)", []string{"argument", "t"}}, {"select pg_advisory_lock($1)", []string{"1"}},
	{"select pg_advisory_unlock($1)", []string{"1"}}, {"select nextval($1)", []string{"s1"}}, {"select generate_series(1, $1)", []string{"4"}},
	{"select 1 / $1::int", []string{"0"}}, {"select $1::mood", []string{"happy"}}, {"select pg_notify($1, $2)", []string{"ch", "argument"}},
	{"delete from t1 where id = $1", []string{"4"}}, {"select $1::timestamptz", []string{"2020-01-01 00:00:00"}},
	{"select repeat($1, $2)", []string{"r", "30000"}},
}

// prepare is a Parse, and arguments that fit.
func (g *generator) prepare(s string) ([]message, []arg) {
	if g.one(2) {
		g.params[s] = 0
		text := g.text()
		for s != "" && strings.Contains(text, "execute") { // it may execute itself: to describe that, PostgreSQL 15 crashes
			text = g.text()
		}
		return []message{parse(s, text)}, nil
	}
	p := parametric[g.r.IntN(len(parametric))]
	g.params[s] = len(p.args)
	var args []arg
	for _, a := range p.args {
		args = append(args, arg{value: a})
	}
	if p.text == "select $1::int + 1" && g.one(2) {
		args[0] = arg{binary: true, value: string(binary.BigEndian.AppendUint32(nil, 41))}
	}
	var types []uint32
	if g.one(5) {
		types = append(types, []uint32{23, 25, 20, 0}[g.r.IntN(4)])
	}
	return []message{parse(s, p.text, types...)}, args
}

// arguments are as many as the statement is believed to have, and mostly numbers.
func (g *generator) arguments(s string) []arg {
	n := g.params[s]
	if g.one(15) {
		n = g.r.IntN(3)
	}
	var args []arg
	for range n {
		a := arg{value: g.pick("1", "2", "3", "ch", "t")}
		if g.one(8) {
			a = arg{null: true}
		}
		args = append(args, a)
	}
	return args
}
