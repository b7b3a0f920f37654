//go:build pg

package proxy

import (
	"regexp"
	"testing"
)

// A tag lowers the class of the transaction that it begins, never raises it, and is forgotten after.
func TestTagsLowerTheClass(t *testing.T) {
	g := narrow(t, 1, func(c *Config) {
		c.Rules = append(c.Rules,
			Rule{Class: "low", Tag: "job", TagValue: regexp.MustCompile("^Push")},
			Rule{Class: "high", Tag: "urgent"})
	})
	p, _ := enter(t, g.addr)
	for _, c := range []struct {
		text, class string
		n           uint64
	}{
		{"select 1 /*job='PushWorker'*/", "low", 1},
		{"select 1 /*job='Mailer'*/", "high", 1},
		{"select 1", "high", 1},
		{"/*urgent:yes*/ select 1", "high", 1},
	} {
		before := g.Stats().Queries
		p.ask(c.text)
		if got := g.Stats().Queries[c.class] - before[c.class]; got != c.n {
			t.Errorf("%s: %d queries of class %s, want %d", c.text, got, c.class, c.n)
		}
	}
	before := g.Stats().Queries["low"]
	for _, text := range []string{"begin /*job:PushWorker*/", "select 1", "select 2 /*urgent:yes*/", "commit"} {
		p.ask(text)
	}
	if got := g.Stats().Queries["low"] - before; got != 3 {
		t.Errorf("%d queries of a low transaction were low, want 3", got)
	}
	low, _ := enter(t, g.addr)
	low.leave()
}
