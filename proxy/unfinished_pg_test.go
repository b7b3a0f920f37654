//go:build pg

package proxy

import (
	"net"
	"strings"
	"testing"

	"pgguard/proxy/wire"
)

// ways are how a client leaves.
var ways = map[string]func(p *speaker){
	"Terminate": func(p *speaker) { p.leave() },
	"FIN":       func(p *speaker) { _ = p.nc.Close() },
	"RST": func(p *speaker) {
		_ = p.nc.(*net.TCPConn).SetLinger(0)
		_ = p.nc.Close()
	},
}

// TestBatchWithoutSyncIsNotCommitted: a client that goes before it has sent the Sync has not asked for a commit.
func TestBatchWithoutSyncIsNotCommitted(t *testing.T) {
	admin := direct(t, shared)
	insert := func(name string) []byte {
		out := append(parse(name, "insert into ns values (1)"), bound("", name)...)
		return append(out, execute("", 0)...)
	}
	whole := append(insert(""), msgSync...)
	for what, sent := range map[string][]step{
		"not answered":            {say("", insert(""))},
		"answered":                {say("C", insert(""), msgFlush)},
		"named":                   {say("C", insert("a"), msgFlush)},
		"twice":                   {say("CC", insert(""), insert(""), msgFlush)},
		"half a Bind":             {say("C", insert(""), msgFlush), say("", bound("", "", "x")[:8])},
		"half a long":             {say("C", insert(""), msgFlush), say("", wire.AppendText(nil, wire.Query, string(make([]byte, 20000)))[:18000])},
		"half a Sync":             {say("C", insert(""), msgFlush), say("", msgSync[:3])},
		"copy":                    {say("G", parse("", "copy ns from stdin"), bound("", ""), execute("", 0), msgFlush), say("", copyData("1\n"))},
		"copy, done":              {say("G", parse("", "copy ns from stdin"), bound("", ""), execute("", 0), msgFlush), say("C", copyData("1\n"), msgCopyDone, msgFlush)},
		"simple copy":             {say("G", simple("copy ns from stdin")), say("", copyData("1\n"))},
		"a query behind an error": {say("", insert("a"), execute("none", 0), simple("insert into ns values (2)"))},
		"behind another":          {say("Z", unnamed("select 1")), say("", insert(""))},
		"pinned":                  {say("Z", simple("create temporary table tt (a int)")), say("C", insert(""), msgFlush)},
		"transaction":             {say("Z", simple("begin")), say("Z", whole)},
	} {
		for way, leave := range ways {
			if strings.HasPrefix(what, "half") && way == "Terminate" {
				continue // it would be the rest of the message
			}
			t.Run(what+", "+way, func(t *testing.T) {
				g := narrow(t, 1, nil)
				_, _ = admin.query("drop table if exists ns; create table ns (a int)")
				p, _ := enter(t, g.addr)
				p.play(sent)
				leave(p)
				g.atRest(t)
				next, _ := enter(t, g.addr)
				next.expect("select count(*) from ns", "T count:20:0; D 0; C SELECT 1; Z I")
				next.leave()
			})
		}
	}
}
