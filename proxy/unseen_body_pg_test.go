//go:build pg

package proxy

import (
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestWhatABodyOfSQLLeavesIsSeen: also of a function that PostgreSQL keeps as a tree, and of one that calls it.
func TestWhatABodyOfSQLLeavesIsSeen(t *testing.T) {
	for name, texts := range map[string][]string{
		"statement":     {"create function f() returns text begin atomic select 1; select set_config('work_mem', '77MB', false); end", "create view v as select f()"},
		"expression":    {"create function f() returns text return set_config('work_mem', '77MB', false)", "create view v as select f()"},
		"pg_settings":   {"create function f() returns int begin atomic update pg_settings set setting = '77MB' where name = 'work_mem'; select 1; end", "create view v as select f()"},
		"behind a call": {"create function f() returns text return set_config('work_mem', '77MB', false)", "create function g() returns text return f()", "create view v as select g()"},
	} {
		t.Run(name, func(t *testing.T) {
			g := unseenServers(t, 2, texts...)
			p, _ := enter(t, g.addr)
			o, _ := enter(t, g.addr)
			p.ask("select * from v")
			p.expect("show work_mem", "T work_mem:25:0; D 77MB; C SHOW; Z I")
			o.expect("show work_mem", plainMemory)
			p.leave()
			o.leave()
			g.atRest(t)
		})
	}
}

// TestWhatIsAskedAboutFunctionsWaitsForNoTable: a migration that holds a table which is in a function holds up nobody who has nothing to do with it.
func TestWhatIsAskedAboutFunctionsWaitsForNoTable(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	for _, text := range []string{
		"create table big (id int)", "create table small (id int)", "create function counts() returns bigint begin atomic select count(*) from big; end",
		"create function unknown() returns void language plpgsql as $$ begin end $$",
	} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := newGuard(t, address(c), nil)
	g.looked(t)
	admin.want(t, admin.query, "begin; lock table big", "", 'T')
	p := g.call(t)
	for _, text := range []string{"insert into small values (1)", "select unknown()"} {
		done := make(chan error, 1)
		go func() {
			_, err := p.query(text)
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s waits for a table that is not in it", text)
			admin.want(t, admin.query, "rollback", "", 'I')
			<-done
		}
	}
	p.kill()
	g.atRest(t)
}
