//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// opening is the first request of a transaction, on a server that has been told to go.
type opening struct {
	name   string
	before []step // what the client has done before
	begin  step
	first  step   // the request
	then   []step // in the transaction
	end    string // of it
	after  []step // after it
	fails  bool   // the guard need not try again: the client may have the server's error
}

// openings are all of them; each inserts rows with the id given.
func openings(id string, oid uint32) []opening {
	n := 0
	row := func() string { n++; return inserting(fmt.Sprint(id, "#", n)) }
	one := func(name, text string) []byte {
		return say("", parse(name, text), bound("", name), execute("", 0)).send
	}
	run := func(name string) []byte { return say("", bound("", name), execute("", 0)).send }
	given := []step{say("Z", parse("y", row()), msgSync)}
	plain, batch := say("Z", simple("begin")), say("Z", unnamed("begin"))
	out := []opening{
		{name: "query", first: say("Z", simple(row()+" returning 1"))},
		{name: "query of two statements", first: say("Z", simple(row()+"; "+row()))},
		{name: "query with an error", first: say("Z", simple(row()+"; select 1/0")), end: "rollback"},
		{name: "query of 17 KiB", first: say("Z", simple(row()+strings.Repeat(" ", 17<<10))), fails: true},
		{name: "two queries in a write", first: say("ZZ", simple(row()), simple(row())), fails: true},
		{name: "batch", first: say("Z", parse("", row()+" returning 1"), describe('S', ""), bound("", ""), describe('P', ""), execute("", 0), msgSync), then: []step{say("Z", run(""), msgSync)}},
		{name: "batch of a name", first: say("Z", parse("y", row()), describe('S', "y"), run("y"), msgSync), then: []step{say("Z", run("y"), msgSync)}, after: []step{say("Z", run("y"), msgSync), say("Z", parse("y", "select 1"), msgSync)}},
		{name: "batch of a name that is closed", first: say("Z", parse("y", row()), run("y"), closes('S', "y"), msgSync), then: []step{say("Z", parse("y", row()), run("y"), msgSync)}},
		{name: "batch of a name from before", before: given, first: say("Z", run("y"), msgSync), then: []step{say("Z", run("y"), msgSync)}},
		{name: "description of a name from before", before: given, first: say("Z", describe('S', "y"), msgSync), then: []step{say("Z", run("y"), msgSync)}},
		{name: "name that is taken", before: given, first: say("Z", parse("y", "select 1"), msgSync), end: "rollback", after: []step{say("Z", run("y"), msgSync)}},
		{name: "name that was another's", before: given, first: say("Z", closes('S', "y"), parse("y", "select 7"), run("y"), msgSync), then: []step{say("Z", run("y"), msgSync)}},
		{name: "names around an error", before: given, first: say("Z", closes('S', "y"), parse("x", "select 7"), one("", "select 1/0"), parse("z", "select 8"), msgSync), end: "rollback", after: []step{say("Z", run("x"), msgSync), say("Z", run("y"), msgSync), say("Z", run("z"), msgSync)}},
		{name: "batch of three", first: say("Z", one("", row()), one("x", row()), one("", "select 3"), msgSync), after: []step{say("Z", run("x"), msgSync)}},
		{name: "two batches in a write", first: say("ZZ", one("", row()), msgSync, one("y", row()), msgSync), after: []step{say("Z", run("y"), msgSync)}, fails: true},
		{name: "batch with a Flush", first: say("C", one("y", row()), msgFlush), then: []step{say("Z", run("y"), msgSync)}, fails: true},
		{name: "nothing but a Parse", first: say("Z", parse("y", row()), msgSync), then: []step{say("Z", run("y"), msgSync)}},
		{name: "portals", first: say("Z", parse("y", "select generate_series(1, 3)"), bound("p", "y"), execute("p", 1), msgSync), then: []step{say("Z", execute("p", 0), msgSync)}},
		{name: "function call", fails: true, first: say("Z", calling(oid, id+"#call"))},
		{name: "COPY", first: say("Z", simple("copy asked from stdin"), pieces(id+"#copy\n"), msgCopyDone), fails: true},
		{name: "COPY in a batch", first: say("Z", ext("copy asked from stdin"), pieces(id+"#copy\n"), msgCopyDone, msgSync), fails: true},
		{name: "COPY, its data later", first: say("G", simple("copy asked from stdin")), then: []step{say("Z", pieces(id+"#copy\n"), msgCopyDone)}},
		{name: "COPY out", first: say("Z", simple("copy (select generate_series(1, 3)) to stdout"))},
		{name: "savepoint", first: say("Z", simple("savepoint a")), then: queries(row(), "rollback to a", row())},
		{name: "SET", first: say("Z", simple("set work_mem = '5MB'")), then: queries("show work_mem"), after: queries("show work_mem", "reset work_mem")},
		{name: "SET, rolled back", first: say("Z", unnamed("set work_mem = '5MB'")), end: "rollback", after: queries("show work_mem")},
		{name: "SET LOCAL", before: queries("set work_mem = '6MB'"), first: say("Z", simple("set local work_mem = '5MB'")), then: queries("show work_mem"), after: queries("show work_mem", "reset work_mem")},
		{name: "settings from before", before: queries("set work_mem = '6MB'", "set timezone = 'Asia/Tokyo'"), first: say("Z", simple("select current_setting('work_mem'), current_setting('timezone')"))},
		{name: "role from before", before: queries("set role pg_monitor"), first: say("Z", simple("select current_user")), after: queries("select current_user", "reset role")},
		{name: "temporary table", fails: true, first: say("Z", simple("create temp table mine (a int)")), then: queries("insert into mine values (1)"), after: queries("select * from mine")},
		{name: "advisory lock", first: say("Z", simple("select pg_advisory_lock(4712)")), after: queries("select count(*) from pg_locks where locktype = 'advisory' and objid = 4712 and pid = pg_backend_pid()")},
		{name: "LISTEN", first: say("Z", simple("listen here")), after: queries("select pg_listening_channels()")},
		{name: "NOTIFY", before: nil, first: say("Z", simple("notify nobody")), then: queries(row())},
		{name: "cursor", first: say("Z", simple("declare c cursor for select generate_series(1, 3)")), then: queries("fetch 2 from c")},
		{name: "cursor WITH HOLD", first: say("Z", simple("declare c cursor with hold for select generate_series(1, 3)")), after: queries("fetch 2 from c")},
		{name: "PREPARE", first: say("Z", simple("prepare s as select 7")), after: queries("execute s")},
		{name: "EXECUTE of a name from before", fails: true, before: given, first: say("Z", simple("execute y")), after: []step{say("Z", run("y"), msgSync)}},
		{name: "DEALLOCATE of a name from before", before: given, first: say("Z", simple("deallocate y")), after: []step{say("Z", parse("y", "select 9"), run("y"), msgSync)}},
		{name: "isolation", begin: say("Z", simple("begin isolation level repeatable read, read only")), first: say("Z", simple("select current_setting('transaction_isolation'), current_setting('transaction_read_only')"))},
	}
	for i := range out {
		if out[i].begin.until == "" {
			out[i].begin = plain
		}
		if out[i].end == "" {
			out[i].end = "commit"
		}
	}
	for _, o := range out[:12] {
		o.name, o.begin = o.name+", after a BEGIN in a batch", batch
		out = append(out, o)
	}
	// The last, because the guard keeps servers for INSERTs when it has met currval.
	return append(out, opening{name: "sequence", begin: plain, end: "commit", first: say("Z", simple("select nextval('items_id_seq') > 0")),
		then: queries("select currval('items_id_seq') > 0"), after: queries("select lastval() > 0")})
}

// The first request of a transaction whose server has been told to go is run by another as if it had not been sent
// before: what the client sees, has and leaves is what it is on a direct connection.
func TestTransactionBegunAgainStartsWhereItDid(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	replayWithin = time.Minute
	admin := askedTable(t, shared)
	oid := functionOid(t, admin)
	g := narrow(t, 1, nil)
	for i, o := range openings("", oid) {
		t.Run(o.name, func(t *testing.T) {
			id := fmt.Sprint("opening ", i)
			got := openings(id, oid)[i].play(t, g.addr, g)
			want := openings(id+" direct", oid)[i].play(t, address(shared), nil)
			if told := strings.Join(got, "; "); o.fails && strings.Contains(told, "C57P01") {
				if rows := under(rows(t, admin), id); rows != "map[]" || strings.Count(told, "; E ") == 0 {
					t.Errorf("rows %s, and the client was told %s", rows, told)
				}
				return
			}
			compare(t, want, got)
			found := rows(t, admin)
			if got, want := under(found, id), under(found, id+" direct"); got != want {
				t.Errorf("rows %s, want %s", got, want)
			}
		})
	}
}

// play plays o; g, if not nil, is the guard at addr, whose server is told to go before it reads the request.
func (o opening) play(t *testing.T, addr string, g *guard) []string {
	t.Helper()
	p, _ := enter(t, addr)
	defer func() { _ = p.nc.Close() }()
	pid := ownPid(p)
	out := p.follow(o.before)
	if g != nil {
		g.atRest(t)
		signal(t, pid, syscall.SIGSTOP)
	}
	out = append(out, p.follow([]step{o.begin})...)
	p.write(o.first.send)
	if g != nil {
		g.endsStopped(t, pid)
	}
	rest := append([]step{{until: o.first.until}}, o.then...)
	rest = append(append(rest, queries(o.end)...), o.after...)
	return append(out, p.follow(rest)...)
}
