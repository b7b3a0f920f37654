//go:build pg

package proxy

import (
	"regexp"
	"strings"
	"testing"

	"pgguard/pool/queue"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// abortedTexts are what is sent in a transaction that has failed.
var abortedTexts = []string{
	"rollback", "commit", "end", "abort", "rollback work", "ROLLBACK TRANSACTION AND NO CHAIN;", "rollback and chain", "commit and chain",
	"rollback to savepoint a", "rollback to b", "release a", "savepoint a", "commit prepared 'none'", "rollback prepared 'none'",
	"prepare transaction 'none'", "begin", "rollback; select 1", "select 1; rollback", "commit; insert into aborted values (7)",
	"rollback; begin", "rollback; begin; select 1/0; rollback", "", "-- nothing", ";", "rollback /* " + strings.Repeat("x", 20_000) + " */", "selec 1", "rollback to", "deallocate before",
	"deallocate all", "discard all", "set work_mem = '77MB'", "show work_mem", "copy aborted from stdin", "execute before", "prepare p as select 1", "select 1",
	"insert into aborted values (8) /* " + strings.Repeat("x", 20_000) + " */",
}

// unfit are those that, prepared by name, have their client keep its server, which is lost with the session, or wait for copy data.
var unfit = regexp.MustCompile("^copy|all$|execute|prepare p|^deallocate")

// abortedWays are how a text is sent. The session has prepared that as "before", or something else, when all was well.
var abortedWays = []struct {
	name  string
	steps func(text string) []step
}{
	{"simple", func(text string) []step { return queries(text) }},
	{"simple, twice", func(text string) []step { return []step{say("ZZ", simple(text), simple("select 2"))} }},
	{"unnamed", func(text string) []step {
		return []step{say("Z", parse("", text), describe('S', ""), bound("", ""), describe('P', ""), execute("", 0), msgSync)}
	}},
	{"named before", func(string) []step {
		return []step{say("Z", bound("", "before"), describe('P', ""), execute("", 1), msgSync)}
	}},
	{"named now", func(text string) []step {
		return []step{say("Z", parse("now", text), describe('S', "now"), bound("", "now"), execute("", 0), msgSync)}
	}},
	{"name taken", func(text string) []step { return []step{say("Z", parse("before", text), msgSync)} }},
	{"flush", func(text string) []step {
		return []step{say("", parse("", text), bound("", ""), execute("", 0), msgFlush), say("Z", msgSync)}
	}},
	{"flush after each", func(text string) []step {
		return []step{say("", parse("", text), msgFlush), say("", bound("", ""), msgFlush), say("", execute("", 0), msgFlush), say("Z", msgSync)}
	}},
	{"two batches", func(text string) []step { return []step{say("ZZ", unnamed(text), unnamed("select 2"))} }},
	{"behind a close", func(text string) []step {
		return []step{say("Z", closes('S', "none"), closes('P', ""), parse("", text), bound("", ""), execute("", 0), closes('P', ""), msgSync)}
	}},
	{"bound later", func(text string) []step {
		return []step{say("Z", parse("", text), msgSync), say("Z", bound("", ""), msgSync), say("Z", execute("", 0), msgSync)}
	}},
	{"named, bound later", func(text string) []step {
		return []step{say("Z", parse("now", text), msgSync), say("Z", bound("", "now"), execute("", 0), msgSync)}
	}},
	{"closed before it runs", func(text string) []step {
		return []step{say("Z", parse("", text), bound("", ""), closes('P', ""), execute("", 0), msgSync)}
	}},
	{"in the middle", func(text string) []step {
		insert := [][]byte{parse("", "insert into aborted values (9)"), bound("", ""), execute("", 0)}
		all := append([][]byte{parse("", text), bound("", ""), execute("", 0)}, insert...)
		return []step{say("Z", append(all, msgSync)...)}
	}},
	{"behind a statement", func(text string) []step {
		return []step{say("Z", parse("", "select 3"), bound("", ""), execute("", 0), parse("", text), bound("", ""), execute("", 0), msgSync)}
	}},
	{"with a parameter", func(text string) []step {
		return []step{say("Z", parse("", text), bound("", "", "1"), execute("", 0), msgSync)}
	}},
	{"named portal", func(text string) []step {
		return []step{say("Z", parse("", text), bound("c", ""), execute("c", 0), msgSync)}
	}},
	{"function call", func(string) []step {
		return []step{say("Z", appendMessage(nil, wire.FunctionCall, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))}
	}},
	{"copy data", func(text string) []step {
		return []step{say("Z", simple(text), copyData("1\n"), msgCopyDone)}
	}},
}

// abortedThen shows what the session is in afterwards: what it inserts is kept, or not.
var abortedThen = append(queries("insert into aborted values (3)", "rollback", "show work_mem", "select 4"), say("Z", bound("", "before"), execute("", 0), msgSync))

// In a transaction that has failed, and that no server knows of any more, or yet, a client gets PostgreSQL's answers as in any other.
func TestFailedTransactionIsOneWithoutItsServer(t *testing.T) {
	admin := direct(t, shared)
	must(t, admin, "create table aborted (a int)")
	defer must(t, admin, "drop table aborted")
	for _, how := range []struct {
		name string
		few  bool
		fail func(t *testing.T) (addr string, fail func(p *speaker, begin string))
	}{{"server lost", false, loseServer}, {"first statement refused", true, refuseAll}} {
		t.Run(how.name, func(t *testing.T) {
			addr, fail := how.fail(t)
			for i, way := range abortedWays {
				if how.few && i%4 > 0 { // the guard does not tell one from the other
					continue
				}
				t.Run(way.name, func(t *testing.T) {
					for _, text := range abortedTexts {
						before := "select 5"
						if way.name == "named before" || way.name == "name taken" {
							if before = text; unfit.MatchString(text) {
								continue
							}
						}
						must(t, admin, "truncate aborted")
						want := playAborted(t, address(shared), before, failInPlace, way.steps(text), admin)
						must(t, admin, "truncate aborted")
						got := playAborted(t, addr, before, fail, way.steps(text), admin)
						t.Run(strings.TrimSpace(text[:min(len(text), 40)]), func(t *testing.T) { compare(t, want, got) })
					}
				})
			}
		})
	}
}

// playAborted logs in, prepares, has a transaction fail, plays the steps and what follows, and returns what was said, and what is in the table.
func playAborted(t *testing.T, addr, before string, fail func(p *speaker, begin string), steps []step, admin *caller) []string {
	t.Helper()
	p, _ := enter(t, addr)
	p.play([]step{say("Z", parse("before", before), msgSync)})
	fail(p, "begin")
	p.lines()
	out := p.play(append(steps, abortedThen...))
	if !p.over {
		p.leave()
	}
	return append(out, admin.one(t, "select coalesce(string_agg(a::text, ',' order by a), 'none') from aborted"))
}

func must(t *testing.T, admin *caller, text string) {
	t.Helper()
	if a, err := admin.query(text); err != nil || a.code() != "" {
		t.Fatalf("%s: %v %v", text, a, err)
	}
}

// failInPlace has the session's transaction fail by a statement.
func failInPlace(p *speaker, begin string) {
	p.t.Helper()
	p.ask(begin)
	p.ask("insert into aborted values (1)")
	if said := p.ask("select 1/0"); said[len(said)-1] != "Z E" {
		p.t.Fatal(said)
	}
}

// loseServer is a guard that loses the server of a transaction.
func loseServer(t *testing.T) (addr string, fail func(p *speaker, begin string)) {
	g, admin := narrow(t, 2, nil), direct(t, shared)
	return g.addr, func(p *speaker, begin string) {
		p.t.Helper()
		p.ask(begin)
		p.ask("insert into aborted values (1)")
		pid := strings.TrimPrefix(p.ask("select pg_backend_pid()")[1], "D ")
		must(t, admin, "select pg_terminate_backend("+pid+")")
		eventually(t, "the server is gone", func() bool { return admin.one(t, "select count(*) from pg_stat_activity where pid = "+pid) == "0" })
		if said := p.ask("select 2"); said[len(said)-1] != "Z E" {
			p.t.Fatal(said)
		}
	}
}

// refuseAll is a guard that refuses the first statement of a transaction.
func refuseAll(t *testing.T) (addr string, fail func(p *speaker, begin string)) {
	g := narrow(t, 1, func(c *Config) {
		c.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: patience, MaxLength: 1, MaxShare: 1}}
		c.Rules = nil
	})
	holder, _ := enter(t, g.addr)
	waiter, _ := enter(t, g.addr)
	return g.addr, func(p *speaker, begin string) {
		p.t.Helper()
		holder.ask("begin")
		holder.ask("select 1")
		waiter.write(simple("select 1"))
		eventually(t, "a full line", func() bool { return g.Stats().Clients["waiting"] == 1 })
		p.ask(begin)
		if said := p.ask("insert into aborted values (1)"); said[len(said)-1] != "Z E" {
			p.t.Fatal(said)
		}
		holder.ask("rollback")
		waiter.read("Z")
	}
}

// leaver is a client in a transaction, and how it ends that.
type leaver struct {
	way, end string
	steps    []step
	p        *speaker
}

// leavers are clients in a transaction, for each plain word that ends one, in each way of saying it; told: when they know that it has failed.
func leavers(t *testing.T, addr string, told bool) (all []leaver) {
	t.Helper()
	for _, way := range abortedWays {
		switch way.name {
		case "simple", "unnamed", "named before", "named now", "flush", "flush after each", "behind a close":
		case "bound later", "named, bound later":
			if !told {
				continue
			}
		default:
			continue
		}
		for _, end := range []string{"rollback", "commit", "END", "abort", "rollback work", "commit and no chain;", "/* tag */ rollback -- so"} {
			p, _ := enter(t, addr)
			p.play([]step{say("Z", parse("before", end), msgSync)})
			p.ask("begin")
			p.ask("select 1")
			all = append(all, leaver{way.name, end, way.steps(end), p})
		}
	}
	return all
}

// stepOrClosed is the mark of a step, or a CloseComplete.
var stepOrClosed = regexp.MustCompile("; (-- [0-9]|3)")

// A client gets out of a transaction that has failed by every plain word for it, in whatever messages, also while there is no database. The first that it sends
// after the loss of its server is told of that, unless it is a ROLLBACK.
func TestFailedTransactionEndsWithoutADatabase(t *testing.T) {
	for _, told := range []bool{false, true} {
		t.Run(map[bool]string{false: "at once", true: "when told"}[told], func(t *testing.T) {
			tap := pgtest.NewTap(t, address(shared))
			g := newGuard(t, tap.Addr(), nil)
			all := leavers(t, g.addr, told)
			tap.Refuse(true)
			tap.Cut()
			eventually(t, "lost", func() bool { s := g.pool().Servers; return s["active"]+s["idle_in_transaction"] == 0 })
			for _, c := range all {
				if told {
					if said := brief(c.p.ask("select 1")); said != "E SERROR VERROR C08006; Z E" {
						t.Errorf("first statement: %s", said)
					}
				}
				want := "C ROLLBACK; Z I"
				if !told && (strings.HasPrefix(c.end, "commit") || c.end == "END") {
					want = "E SERROR VERROR C08006; Z I"
				}
				said := stepOrClosed.ReplaceAllString(brief(c.p.play(c.steps)), "")
				if !strings.HasSuffix(said, want) || (want[0] == 'C' && strings.Contains(said, "E S")) {
					t.Errorf("told %v, %s by %s: %s", told, c.end, c.way, said)
				}
			}
			tap.Refuse(false)
		})
	}
}

// ROLLBACK AND CHAIN begins a transaction of the same modes, though its server is gone.
func TestFailedTransactionKeepsItsModes(t *testing.T) {
	admin := direct(t, shared)
	must(t, admin, "create table aborted (a int)")
	defer must(t, admin, "drop table aborted")
	for _, begin := range []string{"begin isolation level repeatable read", "begin isolation level serializable", "start transaction isolation level serializable, deferrable -- so", "begin"} {
		for i, how := range []func(t *testing.T) (string, func(p *speaker, begin string)){loseServer, refuseAll} {
			if i > 0 && strings.Contains(begin, "serializable") {
				continue // it may fail, and is sent at once
			}
			show := queries("rollback and chain", "show transaction_isolation", "show transaction_deferrable", "commit")
			addr, fail := how(t)
			p, _ := enter(t, addr)
			d, _ := enter(t, address(shared))
			fail(p, begin)
			failInPlace(d, begin)
			p.lines()
			d.lines()
			compare(t, d.play(show), p.play(show))
		}
	}
}
