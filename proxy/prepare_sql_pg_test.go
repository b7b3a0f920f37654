//go:build pg

package proxy

import (
	"slices"
	"strings"
	"testing"
)

// Statements that were prepared by SQL move with their client, and nobody else meets them.
func TestPrepareBySQLMoves(t *testing.T) {
	admin, _ := enter(t, address(shared))
	defer admin.leave()
	admin.play(queries("drop table if exists moved", "create table moved (a int, b text)", "insert into moved values (1, 'one'), (2, 'two')"))
	batch := func(text string) []step {
		return []step{say("Z", parse("", text), describe('S', ""), bound("", ""), execute("", 0), msgSync)}
	}
	ddl := func(text string) step { return step{until: "ddl:" + text} }
	named := func(name string) []step {
		return []step{say("Z", describe('S', name), bound("", name), execute("", 0), msgSync)}
	}
	for name, steps := range map[string][]step{
		"plain":        queries("prepare it as select 1", "execute it", "execute it", "deallocate it", "execute it", "deallocate it"),
		"types":        queries("prepare it as insert into moved values ($1, $2)", "execute it(3, 'three')", "execute it('4', 5)", "execute it('x', 'y')"),
		"given types":  queries("prepare it (bigint, \"text\") as select $1, $2, $1 + 1", "execute it(3, 'three')", "select name, parameter_types from pg_prepared_statements where name = 'it'"),
		"quoted":       queries(`prepare "It ""is""" (text) as select upper($1)`, `execute "It ""is"""('x')`, `execute it('x')`, `deallocate "It ""is"""`),
		"comments":     queries("/* ( */ prepare it -- as\n (int) /* as */ as select $1 -- end\n", "execute it(7)", "explain (costs off) execute it(7)"),
		"taken":        queries("prepare it as select 1", "prepare it as select 2", "execute it"),
		"in a block":   queries("begin", "prepare it as select 1", "rollback", "execute it", "begin", "execute it", "deallocate it", "rollback", "execute it"),
		"all":          queries("prepare it as select 1", "prepare other as select 2", "deallocate all", "execute it", "execute other"),
		"discard":      queries("prepare it as select 1", "discard all", "execute it"),
		"create as":    queries("prepare it as select 1 as one", "explain (costs off) create table made as execute it"),
		"several":      queries("prepare it as select 1; prepare other as select 2", "execute it", "execute other", "deallocate it; deallocate other", "execute it"),
		"in a text":    queries("prepare it as select 1", "select 0; execute it; select 2"),
		"by a do":      queries("do $$ begin execute 'prepare it as select 5'; end $$", "execute it", "do $$ begin execute 'execute it'; end $$", "deallocate it"),
		"failed":       queries("prepare it as select 1/0", "execute it", "begin", "nonsense", "execute it", "rollback", "execute it"),
		"extended":     append(queries("prepare it as select 'x'"), append(batch("execute it"), batch("execute it")...)...),
		"extended all": append(batch("prepare it as select 'x'"), append(batch("execute it"), append(batch("deallocate it"), batch("execute it")...)...)...),
		"protocol":     append(queries("prepare it as select 'x'"), append(named("it"), say("Z", parse("it", "select 2"), msgSync), say("Z", closes('S', "it"), msgSync), say("Z", describe('S', "it"), msgSync))...),
		"both":         append(append(queries("prepare it as select 'x'"), say("Z", parse("mine", "select 2"), msgSync)), append(named("mine"), append(named("it"), queries("execute mine", "execute it")...)...)...),
		"dropped": append(queries("prepare it as select a from moved where a = 1", "execute it"), append([]step{ddl("alter table moved rename to gone")},
			append(queries("execute it", "begin", "execute it", "rollback", "deallocate it", "execute it"), ddl("alter table gone rename to moved"))...)...),
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 1, nil)
			other, _ := enter(t, g.addr)
			here, _ := enter(t, address(shared))
			there, _ := enter(t, g.addr)
			others := queries("select 1", "prepare it as select 'another'", "execute it", "deallocate it", "prepare other as select 'another'", "deallocate all")
			turn := -1
			for i := range steps {
				if text, ok := strings.CutPrefix(steps[i].until, "ddl:"); ok {
					admin.play(queries(text))
					continue
				}
				want, got := here.play(steps[i:i+1]), there.play(steps[i:i+1])
				if strings.Join(want, "\n") != strings.Join(got, "\n") {
					t.Errorf("step %d %q:\n got %q\nwant %q", i, steps[i].send, got, want)
				}
				if len(got) > 0 && got[len(got)-1] == "Z I" && len(g.Stats().Pinned) == 0 {
					turn++
					for _, line := range other.play(others[turn%len(others) : turn%len(others)+1]) {
						if strings.HasPrefix(line, "E") {
							t.Errorf("another client: %s", line)
						}
					}
				}
			}
			for _, p := range []*speaker{other, here, there} {
				p.leave()
			}
		})
	}
}

// It keeps no server.
func TestPrepareBySQLKeepsNoServer(t *testing.T) {
	g := narrow(t, 1, nil)
	p := g.call(t)
	for _, text := range []string{"prepare it as select 1", "execute it", "begin", "execute it", "commit", "prepare other (int) as select $1"} {
		p.does(t, text)
		if p.status == 'I' && len(g.Stats().Pinned) > 0 {
			t.Errorf("%s: pinned for %v", text, g.Stats().Pinned)
		}
	}
	g.call(t).does(t, "select 1")
	if got := p.does(t, "execute other(7)"); got != "7" {
		t.Errorf("got %s", got)
	}
}

// TestDeallocateAllOfWhatCannotBePreparedAnyMore: as drivers do it when a table has gone, by the extended protocol; on whatever server.
func TestDeallocateAllOfWhatCannotBePreparedAnyMore(t *testing.T) {
	g := narrow(t, 2, nil)
	p, _ := enter(t, g.addr)
	for name, all := range map[string][]byte{
		"unnamed": unnamed("deallocate all"),
		"named":   slices.Concat(parse("d", "deallocate all"), bound("", "d"), execute("", 0), msgSync),
		"simple":  simple("deallocate all"),
	} {
		p.ask("drop table if exists gone; create table gone (a int)")
		p.write(slices.Concat(parse("s", "select * from gone"), bound("", "s"), execute("", 0), msgSync))
		p.read("Z")
		p.lines()
		p.ask("drop table gone")
		holder, _ := enter(t, g.addr)
		holder.ask("begin; select 1")
		p.write(all)
		p.read("Z")
		if got := strings.Join(p.lines(), "; "); strings.Contains(got, "ERROR") || !strings.HasSuffix(got, "C DEALLOCATE ALL; Z I") {
			t.Errorf("%s: got %s", name, got)
		}
		p.write(slices.Concat(bound("", "s"), msgSync))
		p.read("Z")
		if got := strings.Join(p.lines(), "; "); !strings.Contains(got, "C26000 ") {
			t.Errorf("%s: the statement is still there: %s", name, got)
		}
		holder.leave()
	}
	p.leave()
	g.atRest(t)
}
