package translate

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// stocked is a statement that a client has prepared by SQL. It moves: a server that lacks it is given it by its own name, with the
// types that the first server inferred, ahead of what may name it; and a server is rid of those of other clients before it
// does anything for its next.
type stocked struct {
	name, source string // source: as the server where it was prepared keeps it
	text         string // of the statement alone, each character where it is in source, so that errors tell its place alike
	types        []uint32
}

// A client whose statements are more, or longer, keeps its server for them.
const (
	maxStock      = 64
	maxStockBytes = 64 << 10
)

// body is that of a Parse after its name.
func (st *stocked) body() string {
	out := append([]byte(st.text), 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(st.types)))
	for _, t := range st.types {
		out = binary.BigEndian.AppendUint32(out, t)
	}
	return string(out)
}

// stockOf reads what pg_prepared_statements says of a statement; nil: it cannot move.
func stockOf(name, said string) *stocked {
	bySQL, rest, _ := strings.Cut(said, " ")
	types, source, ok := strings.Cut(rest, " ")
	at, prepares := sql.Prepares([]byte(source))
	if !ok || bySQL != "true" || !prepares || !isASCII(source) || !isASCII(name) || strings.Contains(source, `\`) { // what a backslash means may change
		return nil
	}
	st := &stocked{name: name, source: source, text: strings.Repeat(" ", at) + source[at:]}
	for t := range strings.SplitSeq(types, ",") {
		if n, err := strconv.ParseUint(t, 10, 32); err == nil {
			st.types = append(st.types, uint32(n))
		}
	}
	return st
}

func inStock(stock []*stocked, name string) *stocked {
	for _, st := range stock {
		if st.name == name {
			return st
		}
	}
	return nil
}

// without returns the stock without one of it; others share the array.
func without(stock []*stocked, st *stocked) []*stocked {
	return slices.DeleteFunc(slices.Clone(stock), func(other *stocked) bool { return other == st })
}

// takeStock notes which statements there are that were prepared by SQL, as the server says, and answers whether its client must keep
// it for them. Of what the client has, the server need not have been given all.
func (l *Lease) takeStock(rows []Pair) (keep bool) {
	if len(rows)+len(l.c.stock) == 0 {
		l.s.stock = nil
		return false
	}
	var here []*stocked
	size := 0
	for _, row := range rows {
		st := inStock(l.s.stock, row.Name)
		if st == nil || (!strings.HasSuffix(row.Value, " "+st.source) && !strings.HasSuffix(row.Value, " "+st.text)) {
			st = stockOf(row.Name, row.Value)
		}
		if st == nil {
			keep = true
			continue
		}
		here = append(here, st)
	}
	all := slices.Clone(here)
	for _, st := range l.c.stock {
		if !slices.Contains(l.s.stock, st) && inStock(here, st.name) == nil {
			all = append(all, st)
		}
	}
	for _, st := range all {
		size += len(st.source) + len(st.text)
	}
	l.s.stock, l.c.stock = here, all
	return keep || len(all) > maxStock || size > maxStockBytes
}

// appendClearing appends what rids the server of other clients' statements.
func (l *Lease) appendClearing(prefix []byte) []byte {
	n := len(prefix)
	for _, st := range l.s.stock {
		if !slices.Contains(l.c.stock, st) {
			prefix = wire.AppendText(prefix, wire.Close, "S"+st.name)
			l.s.stock = without(l.s.stock, st)
		}
	}
	if len(prefix) == n {
		return prefix
	}
	l.owed.add(expectation{kind: query, whose: guard, own: true})
	return wire.AppendEmpty(prefix, wire.Sync)
}

// stock gives the server the client's statements that a text may name, if it lacks them. inBatch as for dedicate.
func (w *sending) stock(text []byte, inBatch bool) {
	l := w.l
	if len(l.c.stock) == 0 || l.rejecting() || l.status == wire.Failed {
		return
	}
	res := sql.Scan(text)
	if !naming(res, text) && !(res.Ask && containsFold(text, "execute")) && !containsFold(text, "pg_prepared_statements") {
		return
	}
	command, called, all, ok := sql.Target(text)
	ok = ok && res.Statements == 1
	for _, st := range l.c.stock {
		switch {
		case ok && (all || string(called) != st.name):
		case ok && command == sql.Deallocate && !inBatch: // something to drop
			w.supply(st, emptyBody, inBatch)
		default:
			w.supply(st, st.body(), inBatch)
		}
	}
}

// stockOf gives the server what a statement of the protocol may name.
func (w *sending) stockOf(called []byte) {
	if st := w.l.c.called(called); st != nil && len(w.l.c.stock) > 0 {
		w.stock(st.Text(), true)
	}
}

// stockNamed gives the server the statement of that name, if the client has prepared it by SQL and the server lacks it.
func (w *sending) stockNamed(called []byte) {
	if st := inStock(w.l.c.stock, string(clip(called))); st != nil && !w.l.failing() {
		w.supply(st, st.body(), true)
	}
}

// supply gives the server one statement of the client's stock.
func (w *sending) supply(st *stocked, body string, inBatch bool) {
	l := w.l
	if slices.Contains(l.s.stock, st) {
		return
	}
	l.s.stock = append(slices.Clone(l.s.stock), st)
	if inBatch {
		w.guards(parse, effect{stocks: st})
		w.out = wire.AppendParse(w.out, st.name, body)
		return
	}
	w.before()
	w.out = wire.AppendEmpty(wire.AppendParse(w.out, st.name, body), wire.Sync)
	l.owed.add(expectation{kind: query, whose: guard, why: supply, own: true, effect: effect{stocks: st}})
}
