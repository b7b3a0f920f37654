//go:build pg

package difference

import (
	"context"
	"fmt"
	"net"
	"time"

	"pgguard/proxy/wire"
)

// leave plays a step in which the client leaves, and enters what is left behind. A direct client reads to the end, so that PostgreSQL
// does all that it was sent.
func (a *arena) leave(ctx context.Context, p *speaker, n *neighbours, st step, g *guard) error {
	db := direct
	if g != nil {
		db = guarded
	}
	base, err := a.ask(ctx, db, went)
	if err != nil {
		return err
	}
	p.said.add(atFirst + base + ")")
	if len(st.answers) > 0 {
		n.clear(p) // it waits for the copy to begin
	}
	p.leaves(st, g == nil)
	n.clear(&speaker{}) // who leaves in turn may wait for its turn
	p.drain()
	if g != nil {
		if g.noisy {
			g.quieten()
			defer g.disturb(n.user)
		}
		if !n.alone(g) {
			p.said.add(fmt.Sprintf("(the guard has not taken its server from it: %v, %v)", g.Stats().Clients, g.Stats().Pools))
			return nil
		}
	}
	now, err := a.ask(ctx, db, went)
	if err != nil {
		return err
	}
	rest, err := a.ask(ctx, db, others)
	if err != nil {
		return err
	}
	p.said.add(leftBehind + now + "; in the other tables " + rest + ")")
	return nil
}

// went are the numbers that the clients have left, in order: each script counts, so that they come in the order in which they were sent.
const went = `select coalesce(string_agg(n::text, ' ' order by n), '') from w.went`

// others is what the other tables hold.
const others = `select md5(coalesce(string_agg(relname || query_to_xml(
	format('select md5(string_agg(x::text, '','' order by x::text)) from w.%I x', relname), true, false, '')::text, '' order by relname), ''))
	from pg_class where relnamespace = 'w'::regnamespace and relkind = 'r' and relname <> 'went'`

// ask returns the only value that text selects.
func (a *arena) ask(ctx context.Context, db, text string) (string, error) {
	results, err := a.admin[db].Exec(ctx, text).ReadAll()
	if err != nil {
		return "", fmt.Errorf("in database %s: %w", db, err)
	}
	return string(results[0].Rows[0][0]), nil
}

// functions looks up the numbers of those that a script calls by message.
func (a *arena) functions(ctx context.Context, db string, s script) (map[string]uint32, error) {
	out := map[string]uint32{}
	for _, st := range s.steps {
		for _, m := range st.messages {
			if _, ok := out[m.name]; ok || m.kind != "FunctionCall" {
				continue
			}
			var oid uint32
			text, err := a.ask(ctx, db, fmt.Sprintf("select coalesce(to_regprocedure(%s)::oid, 0)", literal(m.name)))
			if err == nil {
				_, err = fmt.Sscan(text, &oid)
			}
			if err != nil {
				return nil, fmt.Errorf("function %s: %w", m.name, err)
			}
			out[m.name] = oid
		}
	}
	return out, nil
}

// leaves writes what the step says and goes. gently: in whatever way the step says, there is more to be read.
func (p *speaker) leaves(st step, gently bool) {
	b := p.bytes(st.messages)
	p.goes = true
	if len(st.answers) > 0 {
		p.write(b)
		p.settleCopy()
		b = p.bytes(st.answers)
	}
	b = b[:max(0, len(b)-st.cut)]
	if st.how == goodbye {
		b = append(b, terminate...)
	}
	p.write(b)
	if p.over {
		return
	}
	if tcp := p.nc.(*net.TCPConn); gently || st.how == goodbye || st.how == fin {
		_ = tcp.CloseWrite()
		return
	} else if st.how == resets {
		_ = tcp.SetLinger(0)
	}
	_ = p.nc.Close()
	p.over = true
}

// settleCopy reads, without keeping it, until the server asks for copy data or owes nothing.
func (p *speaker) settleCopy() {
	for !p.over && p.ledger.waiting() && !p.ledger.copying {
		typ, _, err := p.message()
		if err != nil {
			p.end(reason(err))
			return
		}
		p.ledger.receive(typ)
	}
}

// drain reads to the end, if there is more to be read, and keeps nothing of it but that there is none.
func (p *speaker) drain() {
	for !p.over {
		if _, _, err := p.message(); err != nil {
			if r := reason(err); r != closed {
				p.said.add("(after it has left: " + r + ")")
			}
			p.over = true
			_ = p.nc.Close()
		}
	}
}

var terminate = wire.AppendEmpty(nil, wire.Terminate)

// alone waits until the neighbours are the only clients of the guard and nobody else holds a server; false if patience is over.
func (n *neighbours) alone(g *guard) bool {
	for end := time.Now().Add(patience); ; {
		clients := 0
		for _, k := range g.Stats().Clients {
			clients += k
		}
		most, holds := 0, 0
		for _, p := range []*speaker{n.in, n.next, n.holder.holds, n.holder.waits} {
			if p != nil && !p.over {
				most++
			}
		}
		if n.in != nil && !n.in.over {
			holds = 1
		}
		if clients <= most && g.taken() <= holds {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		time.Sleep(50 * time.Microsecond) // between two looks at a condition
	}
}
