//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// setting is a FunctionCall of set_config.
func setting(name, value, local string) []byte {
	const setConfig = 2078
	return callingWith(setConfig, name, value, local)
}

// What a function call sets is its client's and nobody else's, wherever its name comes from; so is what is prepared behind it.
func TestWhatAFunctionCallSetsIsItsClients(t *testing.T) {
	const (
		custom = "select coalesce(nullif(current_setting('called.by', true), ''), '-')"
		folded = `select '\x4142'::bytea::text`
	)
	for _, c := range []struct {
		name        string
		steps       []step
		check       string
		his, others string
	}{
		{name: "setting", steps: []step{say("Z", setting("work_mem", "5MB", "f"))}, check: "show work_mem", his: "D 5MB", others: "D 4MB"},
		{name: "custom setting", steps: []step{say("Z", setting("called.by", "me", "f"))}, check: custom, his: "D me", others: "D -"},
		{name: "custom setting in a block", steps: []step{say("Z", simple("begin")), say("Z", setting("called.by", "me", "f")), say("Z", simple("commit"))},
			check: custom, his: "D me", others: "D -"},
		{name: "what is prepared under it", steps: []step{
			say("Z", simple("begin")), say("Z", setting("bytea_output", "escape", "t")), say("Z", parse("folded", folded), msgSync),
			say("Z", bound("", "folded"), execute("", 0), msgSync), say("Z", simple("commit")),
		}, check: folded, his: `D \x4142`, others: `D \x4142`},
	} {
		for _, servers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", c.name, servers), func(t *testing.T) {
				g := narrow(t, servers, func(cfg *Config) { cfg.MaxPinned = 1 })
				warm, _ := enter(t, g.addr)
				warm.play([]step{say("Z", setting("work_mem", "4MB", "t")), say("Z", setting("work_mem", "4MB", "t"))}) // the catalogues are known
				warm.leave()
				g.atRest(t) // its pin is gone, too: there is room for one
				p, _ := enter(t, g.addr)
				p.play(c.steps)
				if servers == 1 && len(g.Stats().Pinned) > 0 {
					p.leave() // who keeps the only server lets nobody else see anything while it is there
				}
				for range 2 {
					other, _ := enter(t, g.addr)
					other.play([]step{say("Z", unnamed(c.check))})
					if got := brief(other.play([]step{say("Z", parse("folded", c.check), bound("", "folded"), execute("", 0), msgSync)})); !strings.Contains(got, c.others) {
						t.Errorf("another client finds %s, want %s", got, c.others)
					}
					other.leave()
					if p.over {
						continue
					}
					if got := brief(p.ask(c.check)); !strings.Contains(got, c.his) {
						t.Errorf("its client finds %s, want %s", got, c.his)
					}
				}
			})
		}
	}
}
