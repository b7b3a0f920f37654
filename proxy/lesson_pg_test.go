//go:build pg

package proxy

import "testing"

// TestALessonIsOnlyWhatItsTextSays: what somebody has left in the server, of which the guard does not know, is not given to who runs the same SET.
func TestALessonIsOnlyWhatItsTextSays(t *testing.T) {
	g := unseenGuard(t, "create table t (a int)",
		"create function tr() returns trigger language plpgsql as $$ begin execute concat('se', 't work_mem = ''77MB'''); return new; end $$",
		"create trigger t before insert on t for each row execute function tr()")
	a, _ := enter(t, g.addr)
	a.ask("insert into t values (1)")
	a.leave()
	b, _ := enter(t, g.addr)
	b.ask("set lock_timeout = '5s'")
	b.leave()
	for range 3 {
		c, _ := enter(t, g.addr)
		c.expect("show work_mem", plainMemory)
		c.ask("set lock_timeout = '5s'")
		c.expect("show work_mem", plainMemory)
		c.expect("show lock_timeout", "T lock_timeout:25:0; D 5s; C SHOW; Z I")
		c.leave()
	}
	g.atRest(t)
}
