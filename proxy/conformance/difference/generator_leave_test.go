package difference

import "fmt"

// marked is a text that puts the next number into the table went.
func (g *generator) marked() string {
	g.went++
	n := g.went
	return g.pick(fmt.Sprintf("insert into w.went values (%d)", n), fmt.Sprintf("insert into w.went values (%d)", n),
		fmt.Sprintf("select w.adds(%d)", n), fmt.Sprintf("insert into w.went select %d from pg_sleep(0.04)", n),
		fmt.Sprintf("insert into w.went values (%d) /* %s */", n, g.filler()))
}

// leaves adds steps in which the client goes in the middle of something, and the next comes. What it sends at the end
// changes nothing but went, so that it can be seen which part of it was done.
func (g *generator) leaves() {
	if g.one(2) { // the first part is answered, or read at least
		st := step{kind: client, messages: g.goods()}
		if last := st.messages[len(st.messages)-1]; extends(last) && !g.one(3) {
			st.messages = append(st.messages, flush)
		}
		g.steps = append(g.steps, st)
		if g.one(4) {
			g.steps = append(g.steps, g.neighbour())
		}
	}
	st := step{kind: leave, how: goings[g.r.IntN(len(goings))]}
	for range g.r.IntN(4) {
		st.messages = append(st.messages, g.goods()...)
	}
	switch g.r.IntN(6) {
	case 0, 1:
		st.messages, st.answers = append(st.messages, g.copyBegun()...), g.copyUnfinished()
		if g.one(2) {
			st.messages, st.answers = append(st.messages, st.answers...), nil
		}
	case 2:
		st.messages = append(st.messages, sync)
	case 3:
		st.messages = append(st.messages, flush)
	}
	last := st.messages
	if len(st.answers) > 0 {
		last = st.answers
	}
	if len(last) > 0 && g.one(4) {
		st.cut = 1 + g.r.IntN(len(last[len(last)-1].append(nil))-1)
	}
	g.steps = append(g.steps, st)
	g.inTx, g.params = false, map[string]int{}
}

// extends is whether a message is of the extended protocol, and no Sync.
func extends(m message) bool {
	return m.kind == "Parse" || m.kind == "Bind" || m.kind == "Execute" || m.kind == "Describe" || m.kind == "Close"
}

// goods are messages of a client that is going to leave: what it does can be seen in went, and nowhere else.
func (g *generator) goods() []message {
	text := g.marked()
	s := ""
	if g.one(4) {
		s = g.pick(statements...)
		g.params[s] = 0
	}
	batch := []message{parse(s, text), bind("", s), execute("", 0)}
	switch g.r.IntN(14) {
	case 0, 1:
		return []message{query(text)}
	case 2:
		return []message{query("begin; " + text)}
	case 3:
		return []message{query(text + "; commit")}
	case 4:
		return []message{query(text), parse("", g.pick("commit", "begin", "rollback")), bind("", ""), execute("", 0)}
	case 5:
		g.went++
		return []message{call("w.adds(integer)", arg{value: fmt.Sprint(g.went)})}
	case 6:
		g.went++
		return []message{parse(s, "insert into w.went values ($1)"), bind("", s, arg{value: fmt.Sprint(g.went)}), execute("", 0)}
	case 7:
		return append(batch, query(g.marked()))
	case 8:
		return append(batch, parse("", "select 1 / 0"), bind("", ""), execute("", 0))
	case 9:
		return append(batch, sync)
	case 10:
		return append(batch, parse("", g.marked()), bind("p", ""), execute("p", 0), flush)
	case 11:
		return batch[:1+g.r.IntN(2)]
	}
	return batch
}

// copyBegun begins a COPY into went.
func (g *generator) copyBegun() []message {
	const text = "copy w.went from stdin"
	switch g.r.IntN(4) {
	case 0:
		return []message{parse("", text), bind("", ""), execute("", 0), flush}
	case 1:
		return []message{query("begin; " + text)}
	case 2:
		return []message{query(g.marked() + "; " + text)}
	}
	return []message{query(text)}
}

// copyUnfinished is copy data of which there would be more, or which lacks its Sync.
func (g *generator) copyUnfinished() (out []message) {
	for range 1 + g.r.IntN(3) {
		g.went++
		out = append(out, copyData(fmt.Sprintf("%d\n", g.went)))
	}
	switch g.r.IntN(6) {
	case 0:
		out = append(out, copyDone)
	case 1:
		out = append(out, copyDone, sync)
	case 2:
		out = append(out, copyFail("it leaves"))
	}
	return out
}
