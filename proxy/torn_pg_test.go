//go:build pg

package proxy

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgguard/proxy/pgtest"
)

// lone is a statement of the extended protocol without a Sync.
func lone(text string) []byte { return slices.Concat(parse("", text), bound("", ""), execute("", 0)) }

// tornEntry is a way to come into a transaction, or to be in none.
type tornEntry struct {
	name     string
	block    bool                                                                            // the client believes that it is in a transaction block
	come     func(insert, under string, msg func(string) []byte) (ahead []step, last []byte) // last has under in it, which is lost
	ends     bool                                                                            // under may be what ends a transaction
	together bool                                                                            // something that is carried out before is sent with it
}

// tornEntries are the ways. Without anything under way last is nil.
func tornEntries() []tornEntry {
	whole := func(under string, last []byte, alone []step) ([]step, []byte) {
		if under == "" {
			return alone, nil
		}
		return nil, last
	}
	then := func(under string, msg func(string) []byte) []byte {
		if under == "" {
			return nil
		}
		return msg(under)
	}
	return []tornEntry{
		{"BEGIN before", true, func(insert, under string, msg func(string) []byte) ([]step, []byte) {
			return queries("begin", insert), then(under, msg)
		}, true, false},
		{"in the same text", true, func(insert, under string, _ func(string) []byte) ([]step, []byte) {
			return whole(under, simple("begin; "+insert+"; "+under), queries("begin; "+insert))
		}, true, true},
		{"in the same long text", true, func(insert, under string, _ func(string) []byte) ([]step, []byte) {
			return whole(under, simple("begin; "+insert+"; /* "+strings.Repeat("x", 40<<10)+" */ "+under), queries("begin; "+insert))
		}, true, true},
		{"in the same batch", true, func(insert, under string, _ func(string) []byte) ([]step, []byte) {
			return whole(under, slices.Concat(lone("begin"), lone(insert), lone(under), msgSync), []step{say("Z", lone("begin"), lone(insert), msgSync)})
		}, true, true},
		{"ahead in the batch", true, func(_, under string, _ func(string) []byte) ([]step, []byte) {
			return whole(under, slices.Concat(lone("begin"), lone(under), msgSync), queries("begin", "select 1"))
		}, false, false},
		{"by Flush", true, func(insert, under string, _ func(string) []byte) ([]step, []byte) {
			return []step{say("CC", lone("begin"), lone(insert), msgFlush)}, then(under, func(text string) []byte { return append(lone(text), msgSync...) })
		}, true, false},
		{"deferred BEGIN", true, func(_, under string, msg func(string) []byte) ([]step, []byte) {
			return queries("begin"), then(under, msg)
		}, false, false},
		{"AND CHAIN", true, func(insert, under string, msg func(string) []byte) ([]step, []byte) {
			return queries("begin", "select 1", "commit and chain", insert), then(under, msg)
		}, true, false},
		{"implicit batch", false, func(insert, under string, _ func(string) []byte) ([]step, []byte) {
			return whole(under, slices.Concat(lone(insert), lone(under), msgSync), []step{say("C", lone(insert), msgFlush)})
		}, false, true},
		{"text of several", false, func(insert, under string, _ func(string) []byte) ([]step, []byte) {
			return whole(under, simple(insert+"; "+under), nil)
		}, false, true},
	}
}

// tornUnders are what is under way when the server is lost, and what a client that sends it believes to be in when it has been carried out.
var tornUnders = []struct {
	name, text string
	asks       bool // only the server knows what it leaves
	ends       bool // the transaction
	chains     bool // and begins another
}{
	{"nothing", "", false, false, false},
	{"write", "insert into torn select 10 from pg_sleep(60)", false, false, false},
	{"function", "select torn_function()", true, false, false},
	{"DO", "do $$ begin perform pg_sleep(60); end $$", true, false, false},
	{"CALL", "call torn_procedure()", true, false, false},
	{"EXECUTE", "execute torn_statement", true, false, false},
	{"COMMIT", "commit", false, true, false},
	{"COMMIT AND CHAIN", "commit and chain", false, true, true},
	{"ROLLBACK", "rollback", false, true, false},
}

// tornTest is a guard whose servers can be lost.
type tornTest struct {
	*guard
	admin *caller
	tap   *pgtest.Tap
	p     *speaker
}

// TestLostServerTearsNoTransaction: in whatever way a client has come into its transaction, and whatever is under way when the server is lost, nothing
// that it sends in the belief that it is in its transaction is committed on its own, nothing runs twice, and what may have been committed is not told as rolled back.
func TestLostServerTearsNoTransaction(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	replayWithin = 0
	tt := &tornTest{admin: direct(t, shared), tap: pgtest.NewTap(t, address(shared))}
	for _, q := range []string{
		"drop table if exists torn", "create table torn (a int)",
		"create or replace function torn_function() returns int language plpgsql as $$ begin perform pg_sleep(60); return 1; end $$",
		"create or replace procedure torn_procedure() language plpgsql as $$ begin perform pg_sleep(60); end $$",
		"create or replace function torn_trigger() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end $$",
		"create constraint trigger torn_at_commit after insert on torn deferrable initially deferred for each row when (new.a = 5) execute function torn_trigger()",
	} {
		tt.admin.want(t, tt.admin.query, q, "", 'I')
	}
	tt.guard = newGuard(t, tt.tap.Addr(), func(c *Config) { c.Pool.MaxServers = 3 })
	for _, in := range tornEntries() {
		for _, under := range tornUnders {
			if under.ends && !in.ends || under.name == "ROLLBACK" && strings.HasPrefix(in.name, "in the same") || under.text == "" && (in.name == "text of several" || in.name == "deferred BEGIN") {
				continue
			}
			for _, extended := range []bool{false, true} {
				for _, pipelined := range []bool{false, true} {
					for _, end := range []string{"commit", "rollback"} {
						cut := extended == pipelined
						t.Run(fmt.Sprintf("%s/%s/extended=%v,pipelined=%v,%s,cut=%v", in.name, under.name, extended, pipelined, end, cut), func(t *testing.T) {
							msg := simple
							if extended {
								msg = func(text string) []byte { return unnamed(text) }
							}
							tt.run(t, in, under.name, under.text, msg, pipelined, cut, end)
							if closes := under.chains || (under.asks && in.together); tt.p.over && !closes {
								t.Errorf("closed: %s", strings.Join(tt.p.said, "; "))
							}
							tt.holds(t, in.block, under.ends, under.chains, cut && under.name != "ROLLBACK")
						})
					}
				}
			}
		}
	}
	tt.atRest(t)
}

// run plays one case: what the client was told of the loss and behind it is in p.
func (tt *tornTest) run(t *testing.T, in tornEntry, name, under string, msg func(string) []byte, pipelined, cut bool, end string) {
	tt.admin.want(t, tt.admin.query, "truncate torn", "", 'I')
	tt.p, _ = enter(t, tt.addr)
	tt.p.ask("prepare torn_statement as select pg_sleep(60)")
	insert := "insert into torn values (1)"
	if strings.HasPrefix(name, "COMMIT") {
		insert = "insert into torn values (5)"
	}
	ahead, last := in.come(insert, under, msg)
	tt.p.play(ahead)
	stopped := 0
	if name == "ROLLBACK" {
		stopped = tt.lent()
		signal(t, stopped, syscall.SIGSTOP)
	}
	behind := slices.Concat(msg("insert into torn values (2)"), msg("insert into torn values (3)"), msg(end))
	ready := "ZZZ"
	if last != nil {
		ready = "ZZZZ"
	}
	if last != nil && pipelined {
		tt.p.write(append(slices.Clone(last), behind...))
	} else if last != nil {
		tt.p.write(last)
	}
	tt.lose(t, last != nil, stopped, cut)
	if last == nil || !pipelined {
		if last != nil {
			tt.p.read("Z")
			ready = "ZZZ"
		}
		tt.p.write(behind)
	}
	tt.p.read(ready)
}

// lent is the process of the only server that is lent.
func (tt *tornTest) lent() int {
	for _, in := range tt.allInstances() {
		if pid := lentPid(in); pid != 0 {
			return pid
		}
	}
	return 0
}

// lose ends the client's server, whose process is stopped if that is not 0, and waits until the guard has seen it.
func (tt *tornTest) lose(t *testing.T, busy bool, stopped int, cut bool) {
	pid := stopped
	switch {
	case stopped != 0:
		eventually(t, "sent", func() bool { return tt.pool().Running == 1 })
	case busy:
		eventually(t, "asleep", func() bool {
			return tt.admin.one(t, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "1"
		})
		fallthrough
	default:
		pid = tt.lent()
	}
	if pid == 0 && !cut { // a deferred BEGIN
		return
	}
	if cut {
		tt.tap.Cut()
	}
	if stopped != 0 || !cut {
		signal(t, pid, syscall.SIGTERM)
	}
	if stopped != 0 {
		signal(t, pid, syscall.SIGCONT)
	}
	eventually(t, "lost", func() bool { return pid == 0 || tt.lent() != pid })
}

// holds fails the test unless what is in the table, and what was told, is as it must be.
func (tt *tornTest) holds(t *testing.T, block, ends, chains, cut bool) {
	_ = tt.admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'PgSleep'")
	eventually(t, "nobody asleep", func() bool {
		return tt.admin.one(t, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "0"
	})
	said := tt.p.lines()
	if !tt.p.over {
		tt.p.expect("select 8", "T ?column?:23:0; D 8; C SELECT 1; Z I")
		tt.p.leave()
	}
	rows := tt.admin.one(t, "select coalesce(string_agg(a::text, ',' order by a), '') from torn")
	told := strings.Join(said, "; ")
	switch {
	case strings.Contains(rows, "1,1") || strings.Contains(rows, "10,10") || strings.Contains(rows, "5,5"):
		t.Errorf("run twice: rows %s, told %s", rows, told)
	case block && (!ends || chains) && rows != "" && rows != "5":
		t.Errorf("torn: rows %s, told %s", rows, told)
	case block && !ends && rows != "":
		t.Errorf("committed: rows %s, told %s", rows, told)
	case block && ends && strings.Contains(rows, "1"):
		t.Errorf("rolled back and committed: rows %s, told %s", rows, told)
	case ends && cut && !strings.Contains(told, "C08007"):
		t.Errorf("a COMMIT that was lost is not told as unknown: %s", told)
	}
}
