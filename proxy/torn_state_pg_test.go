//go:build pg

package proxy

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tornStates are what a client may do in its transaction, whether its session has then something that a rollback does not take back, and
// whether anybody knows that.
var tornStates = []struct {
	name    string
	steps   []step
	stays   bool
	unknown bool // only the server would know
}{
	{"session lock", queries("select pg_advisory_lock(777)"), true, false},
	{"session lock that fails", queries("select pg_advisory_lock(777), 1/0"), true, false},
	{"session lock, portal suspended", []step{say("s", parse("", "select pg_advisory_lock(a) from generate_series(1, 3) a"), bound("", ""), execute("", 1), msgFlush)}, true, false},
	{"SQL PREPARE", queries("prepare mine as select 1"), true, false},
	{"DEALLOCATE", queries("deallocate torn_statement"), true, false},
	{"seed", queries("select setseed(0.5)"), true, false},
	{"EXECUTE of a protocol's statement", queries("execute torn_named"), true, false},
	{"setting behind AND CHAIN", queries("set work_mem = '5MB'", "commit and chain"), true, false},
	{"unknown function", queries("select torn_quick()"), true, true},
	{"DO", queries("do $$ begin null; end $$"), true, true},
	{"setting", queries("set work_mem = '5MB'"), false, false},
	{"temporary table, whose columns may have called something", queries("create temporary table torn_temporary (a int)"), true, true},
	{"LISTEN", queries("listen torn_channel"), false, false},
	{"cursor", queries("declare torn_cursor cursor with hold for select 1"), false, false},
	{"lock of the transaction", queries("select pg_advisory_xact_lock(777)"), false, false},
}

// tornState returns one that has done that in its transaction, and its session.
func tornState(t *testing.T, g *guard, steps []step) (p *speaker, s *session) {
	t.Helper()
	p, _ = enter(t, g.addr)
	p.play(slices.Concat(queries("prepare torn_statement as select 1"), []step{say("Z", parse("torn_named", "select 2"), msgSync), say("Z", parse("torn_other", "select 3"), msgSync)},
		queries("begin", "select 1"), steps))
	return p, g.all()[0]
}

// takes takes the server from s, which waits for its client in a batch or in a transaction, as the reaper does.
func (s *session) takes(t *testing.T, now time.Time) (taken bool) {
	t.Helper()
	s.mu.Lock()
	b := s.link.b
	state := s.state
	s.mu.Unlock()
	if s.keeps(b) {
		return false
	}
	if state == idling {
		return s.reap(b, now)
	}
	b.waits.Store(true)
	return s.reapWaiting(b, now)
}

func tornFunctions(t *testing.T, admin *caller) {
	t.Helper()
	for _, q := range []string{
		"drop table if exists torn", "create table torn (a int)",
		"create or replace function torn_quick() returns int language plpgsql as $$ begin return 1; end $$",
	} {
		admin.want(t, admin.query, q, "", 'I')
	}
}

// TestLostServerEndsWhoHasLeftSomething: what a rollback does not take back cannot be had on another server, so the client is told as directly: its
// connection ends. Who has left nothing goes on.
func TestLostServerEndsWhoHasLeftSomething(t *testing.T) {
	admin := direct(t, shared)
	tornFunctions(t, admin)
	for _, st := range tornStates {
		t.Run(st.name, func(t *testing.T) {
			g := narrow(t, 2, nil)
			p, _ := tornState(t, g, st.steps)
			signal(t, lentPid(g.the(t)), syscall.SIGTERM)
			eventually(t, "lost", func() bool { return lentPid(g.the(t)) == 0 })
			tornTold(t, p, st.stays, "C57P01")
			g.atRest(t)
		})
	}
}

// TestReapedTransactionLeavesNothingBehind: a transaction that has left what a rollback does not take back is left alone; where nobody knows whether it has, the client's connection
// ends with it.
func TestReapedTransactionLeavesNothingBehind(t *testing.T) {
	admin := direct(t, shared)
	tornFunctions(t, admin)
	for _, st := range tornStates {
		t.Run(st.name, func(t *testing.T) {
			g := narrow(t, 2, nil)
			p, s := tornState(t, g, st.steps)
			if !st.stays || st.unknown {
				eventually(t, "taken away", func() bool { return s.takes(t, time.Now()) }) // not while its answer is still being written
				tornTold(t, p, st.stays, "C25P03")
			} else {
				if s.takes(t, time.Now()) {
					t.Fatal("taken away")
				}
				p.leave()
			}
			g.atRest(t)
		})
	}
}

// tornTold fails the test unless the client is told, with this code, that its transaction is gone, and has gone on, or been closed.
func tornTold(t *testing.T, p *speaker, closed bool, code string) {
	t.Helper()
	p.said = nil
	if !closed {
		p.write(slices.Concat(simple("select 1"), simple("select 1")))
		p.read("ZZ")
		if said := strings.Join(p.lines(), "; "); !strings.HasPrefix(said, "E SERROR VERROR "+code) || !strings.HasSuffix(said, "Z E") {
			t.Errorf("told %s", said)
		}
		p.expect("rollback", "C ROLLBACK; Z I")
		if said := p.play([]step{say("Z", bound("", "torn_other"), execute("", 0), msgSync)}); !slices.Contains(said, "D 3") {
			t.Errorf("its statement: %q", said)
		}
		p.leave()
		return
	}
	for !p.over {
		p.read("Z")
	}
	if said := strings.Join(p.lines(), "; "); !strings.HasPrefix(said, "E SFATAL VFATAL "+code) || !strings.HasSuffix(said, "closed") {
		t.Errorf("told %s", said)
	}
}

// TestReapedBatchIsToldWhatMayHaveLasted: in the middle of a batch a transaction may have begun, or ended, since the last ReadyForQuery.
func TestReapedBatchIsToldWhatMayHaveLasted(t *testing.T) {
	admin := direct(t, shared)
	tornFunctions(t, admin)
	insert := lone("insert into torn values (1)")
	behind := slices.Concat(lone("insert into torn values (2)"), msgSync, lone("insert into torn values (3)"), msgSync, lone("rollback"), msgSync)
	for _, c := range []struct {
		name       string
		ahead      []step
		told, rows string
	}{
		{"BEGIN", []step{say("CC", lone("begin"), insert, msgFlush)}, "E SERROR VERROR C25P03", ""},
		{"COMMIT", append(queries("begin", "insert into torn values (1)"), say("C", lone("commit"), msgFlush)), "E SERROR VERROR C08007", "1,3"},
		{"AND CHAIN", append(queries("begin", "insert into torn values (1)"), say("C", lone("commit and chain"), msgFlush)), "E SFATAL VFATAL C08007", "1"},
		{"ROLLBACK and another", append(queries("begin"), say("CCC", lone("select 1"), lone("rollback"), insert, msgFlush)), "E SERROR VERROR C08007", ""},
		{"implicit", []step{say("C", insert, msgFlush)}, "E SERROR VERROR C25P03", "3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			admin.want(t, admin.query, "truncate torn", "", 'I')
			g := narrow(t, 2, nil)
			p, _ := enter(t, g.addr)
			p.play(c.ahead)
			eventually(t, "taken away", func() bool { return g.all()[0].takes(t, time.Now()) }) // not while its answer is still being written
			if !strings.Contains(c.told, "FATAL") {
				p.write(behind)
			}
			p.read("ZZZ")
			if said := strings.Join(p.lines(), "; "); !strings.HasPrefix(said, c.told) {
				t.Errorf("told %s", said)
			}
			if rows := admin.one(t, "select coalesce(string_agg(a::text, ',' order by a), '') from torn"); rows != c.rows {
				t.Errorf("rows %s, want %s", rows, c.rows)
			}
			g.atRest(t)
		})
	}
}

// TestBatchThatEndsItsTransactionIsNotRunAgain: what follows the ROLLBACK in the batch may have been committed.
func TestBatchThatEndsItsTransactionIsNotRunAgain(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	replayWithin = time.Minute
	admin := direct(t, shared)
	tornFunctions(t, admin)
	g := narrow(t, 1, nil)
	p, _ := enter(t, g.addr)
	pid := ownPid(p)
	signal(t, pid, syscall.SIGSTOP)
	p.ask("begin")
	p.write(slices.Concat(lone("rollback"), lone("insert into torn values (1)"), msgSync))
	g.endsStopped(t, pid)
	p.read("Z")
	if said := strings.Join(p.lines(), "; "); !strings.HasPrefix(said, "E SERROR VERROR C57P01") {
		t.Errorf("told %s", said)
	}
	if n := admin.one(t, "select count(*) from torn"); n != "0" {
		t.Errorf("%s rows", n)
	}
	p.leave()
}

// TestDedicatedClientKeepsItsStatementsOrIsClosed: its statements went to its server by their own names.
func TestDedicatedClientKeepsItsStatementsOrIsClosed(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	admin := direct(t, shared)
	for _, replayWithin = range []time.Duration{0, time.Minute} {
		for _, text := range []string{
			"execute s1", "explain analyze execute s1", "deallocate s1; select pg_sleep(30)", "prepare zz as select 1; select pg_sleep(30)",
		} {
			t.Run(text+" within "+replayWithin.String(), func(t *testing.T) {
				g := narrow(t, 2, nil)
				p, _ := enter(t, g.addr)
				p.play([]step{say("Z", parse("s1", "select pg_sleep(30), 'one'"), msgSync), say("Z", parse("s2", "select 'two'"), msgSync)})
				p.ask("begin")
				p.write(simple(text))
				eventually(t, "asleep", func() bool {
					return admin.one(t, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "1"
				})
				signal(t, lentPid(g.the(t)), syscall.SIGTERM)
				p.read("Z")
				if p.over {
					return
				}
				p.lines()
				p.expect("rollback", "C ROLLBACK; Z I")
				if said := p.play([]step{say("Z", bound("", "s2"), execute("", 0), msgSync)}); !slices.Contains(said, "D two") {
					t.Errorf("its statement: %q", said)
				}
				p.leave()
			})
		}
	}
}
