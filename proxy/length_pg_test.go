//go:build pg

package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgguard/proxy/wire"
)

// lengthened are a message's body made longer or shorter than what is in it.
func lengthened(m []byte) map[string][]byte {
	typ, body := m[0], string(m[wire.HeaderSize:])
	out := map[string][]byte{
		"with a byte more": appendMessage(nil, typ, body+"x"), "with a NUL more": appendMessage(nil, typ, body+"\x00"), "with more": appendMessage(nil, typ, body+"more than that"),
	}
	if body != "" {
		out["with a byte less"], out["empty"] = appendMessage(nil, typ, body[:len(body)-1]), appendMessage(nil, typ, "")
		out["half"] = appendMessage(nil, typ, body[:len(body)/2])
	}
	return out
}

// TestLengthsThatAreNotThoseOfTheContent mean to a client of the guard what they mean to one of PostgreSQL: of each message, alone, in a batch that has written, in a transaction, and in a COPY.
func TestLengthsThatAreNotThoseOfTheContent(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{"drop table if exists lengths", "create table lengths (a text)"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := narrow(t, 1, nil)
	write := say("", parse("", "insert into lengths values ('x') returning a"), bound("", ""), execute("", 0)).send
	see := append(queries("select count(*) from lengths", "rollback", "truncate lengths"), say("Z", parse("after", "select 'after'"), bound("", "after"), execute("", 0), msgSync))
	messages := map[string][]byte{
		"CopyDone": msgCopyDone, "CopyFail": appendMessage(nil, wire.CopyFail, "no\x00"), "Query": simple("insert into lengths values ('q')"),
		"empty Query": simple(""), "begin": simple("begin"), "commit": simple("commit"), "Parse": parse("n", "select 1"), "unnamed Parse": parse("", "select 2"), "Bind": bound("", "n"), "Bind with an argument": bound("", "p", "7"),
		"Describe": describe('S', "n"), "Describe of a portal": describe('P', ""), "Execute": execute("", 0), "Close": closes('S', "n"), "Close of nothing": closes('S', "nothing"),
	}
	for name, m := range messages {
		for how, odd := range lengthened(m) {
			ends := m[0] == wire.Query
			places := map[string][]step{
				"alone":            {say("", odd), say("Z", msgSync)},
				"in a batch":       {say("", write, odd), say("Z", write, msgSync)},
				"in a transaction": {say("Z", simple("begin; insert into lengths values ('t')")), say("", odd), say("Z", msgSync), say("Z", simple("commit"))},
			}
			if m[0] == wire.CopyDone || m[0] == wire.CopyFail {
				places["in a COPY"] = []step{say("G", simple("copy lengths from stdin")), say("Z", appendMessage(nil, wire.CopyData, "c\n"), odd)}
			}
			if ends {
				places = map[string][]step{
					"alone":            {say("Z", odd)},
					"before a query":   {say("Z", odd), say("Z", simple("select 'next'"))},
					"in a batch":       {say("Z", write, odd), say("Z", write, msgSync)},
					"in a transaction": {say("Z", simple("begin; insert into lengths values ('t')")), say("Z", odd), say("Z", simple("commit"))},
					"after an error":   {say("Z", parse("", "selec"), write, odd, msgSync), say("Z", write, msgSync)},
				}
			}
			for place, steps := range places {
				t.Run(fmt.Sprint(name, " ", how, " ", place), func(t *testing.T) {
					steps := slices.Concat([]step{say("Z", parse("n", "select 1"), parse("p", "select $1::int"), msgSync)}, steps, see)
					compare(t, scripted(t, address(shared), nil, steps), scripted(t, g.addr, nil, steps))
					g.atRest(t)
				})
			}
		}
	}
}

// TestSyncAndFlushHaveNoBody: where one has, its client is told so and closed, and nothing of what it has not finished before is committed. PostgreSQL keeps the connection.
func TestSyncAndFlushHaveNoBody(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{"drop table if exists bodies", "create table bodies (a text)"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := narrow(t, 1, nil)
	write := say("", parse("", "insert into bodies values ('x')"), bound("", ""), execute("", 0)).send
	for _, typ := range []byte{wire.Sync, wire.Flush} {
		for place, before := range map[string][]step{
			"alone": nil, "in a batch": {say("", write)}, "in a transaction": {say("Z", simple("begin; insert into bodies values ('t')"))}, "after an error": {say("", parse("", "selec"), write)},
			"pinned": {say("Z", simple("create temp table t ()")), say("", write)},
		} {
			for _, body := range []string{"x", "\x00", "more than that"} {
				t.Run(fmt.Sprintf("%c %s %q", typ, place, body), func(t *testing.T) {
					out := scripted(t, g.addr, nil, append(slices.Clone(before), say("Z", appendMessage(nil, typ, body))))
					if !slices.ContainsFunc(out, func(l string) bool { return strings.HasPrefix(l, "E SFATAL VFATAL C08P01 Minvalid message format") }) {
						t.Errorf("it is told %q", out)
					}
					g.atRest(t)
					if got := admin.one(t, "select count(*) from bodies"); got != "0" {
						t.Errorf("%s rows are committed", got)
					}
				})
			}
		}
	}
}
