//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"

	"pgguard/proxy/sock"
)

// A client that names the guard's statements in SQL is told what PostgreSQL says of such names, and no other client meets what it has done.
func TestGuardsStatementsAreNotReached(t *testing.T) {
	pad := " /*" + strings.Repeat("x", 3*sock.BufferSize) + "*/ "
	each := func(text string) []string {
		var list []string
		for i := range 6 {
			list = append(list, strings.ReplaceAll(text, "@", fmt.Sprintf("__pgguard_%d", i)))
		}
		return list
	}
	for name, steps := range map[string][]step{
		"deallocate":                   queries(each("deallocate @")...),
		"execute":                      queries(each("execute @(1)")...),
		"explain":                      queries(each("explain execute @(1)")...),
		"prepare":                      queries(each("prepare @ as select 'mine'")...),
		"prepare and execute":          queries(append(each("prepare @ as select 'mine'"), each("execute @")...)...),
		"quoted":                       queries(each(`DEALLOCATE PREPARE "@"`)...),
		"in capitals":                  queries(each(`deallocate __PGGUARD_1`)...),
		"escaped":                      queries(`deallocate U&"\005f_pgguard_1"`, `deallocate u&"\005f_pgguard_2"`),
		"of several":                   queries("select 1; " + strings.Join(each("prepare x@ as select 1; deallocate @"), ";")),
		"in a block":                   queries("begin", "select 1", "deallocate __pgguard_1", "rollback"),
		"out of a block":               queries("begin", "selec", "rollback; deallocate __pgguard_1"),
		"out of a block, all":          queries(each("begin; selec")[0], "rollback; deallocate __pgguard_1", "rollback; deallocate __pgguard_2"),
		"extended":                     batches(each("deallocate @")...),
		"extended, named":              {say("Z", parse("mine", "deallocate __pgguard_1"), msgSync), say("Z", bound("", "mine"), execute("", 0), msgSync), say("Z", bound("", "mine"), execute("", 0), msgSync)},
		"extended, prepare":            batches(append(each("prepare @ as select 'mine'"), each("execute @")...)...),
		"in a function's place":        queries(each("do $$ begin execute 'deallocate @'; end $$")...),
		"all, in a function's place":   queries("do $$ begin execute 'deallocate all'; end $$", "select 1"),
		"as its own":                   {say("Z", parse("__pgguard_1", "select 'mine'"), msgSync), say("Z", simple("execute __pgguard_1")), say("Z", bound("", "__pgguard_1"), execute("", 0), msgSync), say("Z", simple("deallocate __pgguard_1"))},
		"by the protocol":              {say("Z", parse("mine", "select 1"), msgSync), say("Z", simple("execute mine")), say("Z", bound("", "__pgguard_1", "7"), execute("", 0), msgSync), say("Z", describe('S', "__pgguard_2"), msgSync), say("Z", closes('S', "__pgguard_3"), msgSync)},
		"behind a long text":           queries("select 1;"+pad+"deallocate __pgguard_1", "select 2"),
		"behind a long text, prepares": queries("select 1;"+pad+strings.Join(each("prepare @ as select 'mine'"), ";"), "select 2"),
		"after a dedication":           {say("Z", parse("mine", "select 1"), msgSync), say("Z", simple("execute mine")), say("Z", simple("deallocate __pgguard_1")), say("Z", simple("execute __pgguard_2(1)"))},
		"behind an error":              {say("Z", bound("", "nobody"), parse("", "deallocate __pgguard_1"), bound("", ""), execute("", 0), msgSync), say("Z", simple("deallocate __pgguard_1"))},
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 2, nil)
			others := make([]*speaker, 3)
			for i := range others {
				others[i], _ = enter(t, g.addr)
				others[i].play([]step{say("Z", parse("theirs", fmt.Sprintf("select $1::int + %d", i)), msgSync)})
			}
			if strings.HasPrefix(name, "behind a long text") { // what is told of it is a known difference
				scripted(t, g.addr, nil, steps)
			} else {
				same(t, g, steps...)
			}
			for i, p := range others {
				p.expect("begin", "C BEGIN; Z T")
				p.expect("select 'in it'", "T ?column?:25:0; D in it; C SELECT 1; Z T")
				got := strings.Join(p.play([]step{say("Z", bound("", "theirs", "7"), execute("", 0), msgSync)}), "; ")
				if want := fmt.Sprintf("2; D %d; C SELECT 1; Z T", 7+i); !strings.HasSuffix(got, want) {
					t.Errorf("another client: %s, want %s", got, want)
				}
				p.expect("commit", "C COMMIT; Z I")
				p.play([]step{say("Z", parse("new", fmt.Sprintf("select 'another %d'", i)), bound("", "new"), execute("", 0), msgSync)})
			}
			p, _ := enter(t, g.addr)
			for i := range 8 { // new names of the guard's
				got := strings.Join(p.play([]step{say("Z", parse("", fmt.Sprintf("select 'new %d'", i%4)), bound("", ""), execute("", 0), msgSync)}), "; ")
				if !strings.Contains(got, "; D new") {
					t.Errorf("a newcomer: %s", got)
				}
			}
		})
	}
}
