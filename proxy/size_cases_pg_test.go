//go:build pg

package proxy

import (
	"fmt"
	"strings"

	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// sizes are lengths of messages around those of buffers, and far above.
var sizes = []int{
	sock.BufferSize - sock.Headroom, sock.BufferSize - sock.Headroom + 1, sock.BufferSize + 1, 70_000,
}

// giant is what has a long message in it, of the client or of the server.
type giant struct {
	name   string
	batch  []byte // messages of the extended protocol without their Sync; nil: query
	query  []byte // a simple query with what belongs to it
	then   []step // shows what it has left
	undo   []step // takes that back
	closes bool   // PostgreSQL takes its messages for too long, if they are
}

// exactly is the message that make makes, with a padding that makes it n bytes long.
func exactly(n int, pad byte, make func(pad string) []byte) []byte {
	return make(strings.Repeat(string(pad), max(0, n-len(make("")))))
}

// giants are all of them, with messages n bytes long, or nearly.
func giants(n int) []giant {
	out := append(giantAnswers(n), giantTexts(n)...)
	return append(append(out, giantNames(n)...), giantCopies(n)...)
}

// giantAnswers have long messages of the server.
func giantAnswers(n int) []giant {
	x := strings.Repeat("x", n)
	raise := func(level, what string, less int) string {
		return fmt.Sprintf("do $$ begin raise %s %s; end $$", level, strings.ReplaceAll(what, "@", fmt.Sprintf("repeat('x', %d)", n-less)))
	}
	notices := fmt.Sprintf("do $$ begin for i in 1..3 loop raise notice '%% %%', i, repeat('x', %d); end loop; end $$", n)
	columns := make([]string, min(1600, n/82+1))
	for i := range columns {
		columns[i] = fmt.Sprintf("%d as \"%063d\"", i, i)
	}
	params := make([]string, min(60_000, n/4))
	for i := range params {
		params[i] = fmt.Sprintf("$%d::int", i+1)
	}
	array := "select array_length(array[" + strings.Join(params, ",") + "], 1)"
	row := fmt.Sprintf("select repeat('x', %d), null, 'y' from generate_series(1, 3)", n)
	out := []giant{
		{name: "error at Parse", batch: ext("select '" + x + "'::int")},
		{name: "error at Bind, of an argument", batch: say("", parse("", "select $1::int"), bound("", "", x), execute("", 0)).send},
		{name: "error at Bind, of an argument to a name", batch: say("", parse("given", "select $1::int"), bound("", "given", x), execute("", 0)).send},
		{name: "error at Bind, of the plan", batch: ext(fmt.Sprintf("select repeat('x', %d)::int", n))},
		{name: "error at Execute", batch: ext(raise("exception", "'%', @", 0))},
		{name: "error at Execute, exact", batch: ext(raise("exception", "'%', @", 107))},
		{name: "error behind rows", batch: ext(fmt.Sprintf("select (case when i = 3 then repeat('x', %d) else '7' end)::int from generate_series(1, 3) i", n))},
		{name: "error with a detail and a hint", batch: ext(raise("exception", "'short' using detail = @, hint = @", 0))},
		{name: "error behind a notice", batch: ext(strings.Replace(raise("notice", "'%', @", 0), "; end", "; raise exception '%', 'short'; end", 1))},
		{name: "notice", batch: ext(raise("notice", "'%', @", 0))},
		{name: "notice, exact", batch: ext(raise("notice", "'%', @", 103))},
		// @@ is another text in each place: a statement that the server has already is not parsed again.
		{name: "notice at Parse", batch: ext("select 1 as \"@@" + x + "\"")},
		{name: "notices", batch: ext(notices)},
		{name: "columns, of the statement", batch: say("", parse("", "select "+strings.Join(columns, ",")), describe('S', ""), bound("", ""), execute("", 0)).send},
		{name: "columns, of the portal", batch: say("", parse("", "select "+strings.Join(columns, ",")), bound("", ""), describe('P', ""), execute("", 0)).send},
		{name: "parameters", batch: say("", parse("", array), describe('S', "")).send},
		{name: "parameters with a Bind", batch: say("", parse("", array), describe('S', ""), bound("", "", make([]string, len(params))...), execute("", 0)).send},
		{name: "row", batch: ext(row)},
		{name: "row, exact", batch: ext(fmt.Sprintf("select repeat('x', %d)", n-11))},
		{name: "row by row", batch: say("", parse("", row), bound("p", ""), execute("p", 1), execute("p", 1), execute("p", 0)).send},
		{name: "query: error", query: simple(raise("exception", "'%', @", 0))},
		{name: "query: error in the second statement", query: simple("select 1; " + raise("exception", "'%', @", 0) + "; select 2")},
		{name: "query: notices", query: simple(notices + "; select 1")},
		{name: "query: columns", query: simple("select " + strings.Join(columns, ","))},
		{name: "query: row", query: simple(row + "; select 1")},
	}
	payload := strings.Repeat("n", 7_999)
	notify := "listen giants; begin; " + strings.Repeat("notify giants, '"+payload+"'; ", 1)
	for i := range min(20, n/8000) {
		notify += fmt.Sprintf("notify giants, '%d %s'; ", i, payload[:7_990])
	}
	return append(out, giant{name: "query: notifications", query: simple(notify + "commit"), undo: queries("unlisten *")})
}

// giantTexts have long statements.
func giantTexts(n int) []giant {
	query := func(front, back string) []byte {
		return exactly(n, ' ', func(pad string) []byte { return simple(front + pad + back) })
	}
	comment := func(front, back string) []byte { return query(front+"/*", "*/"+back) }
	prepare := func(name, front, back string) []byte {
		m := exactly(n, ' ', func(pad string) []byte { return parse(name, front+pad+back) })
		return say("", m, bound("", name), execute("", 0)).send
	}
	shows, resets := queries("show work_mem"), queries("reset work_mem")
	table, drops := queries("insert into giant values (1)", "select count(*) from giant"), queries("drop table giant")
	call := exactly(n, 'x', func(pad string) []byte { return calling(1257, pad) }) // textlen
	return []giant{
		{name: "query: text", query: comment("select 1", "")},
		{name: "query: text, its end behind", query: comment("", "select 1")},
		{name: "query: constant", query: query("select length('", "')")},
		{name: "query: error of syntax", query: query("select ", " from from")},
		{name: "query: SET in front", query: comment("set work_mem = '5MB'", ""), then: shows, undo: resets},
		{name: "query: SET behind", query: comment("", "set work_mem = '5MB'"), then: shows, undo: resets},
		{name: "query: set_config", query: query("select '", "' || set_config('work_mem', '5MB', false) is null"), then: shows, undo: resets},
		{name: "query: temporary table behind", query: comment("", "create temp table giant (a int)"), then: table, undo: drops},
		{name: "query: temporary table in front", query: comment("create temp table giant (a int);", ""), then: table, undo: drops},
		{name: "query: PREPARE", query: comment("prepare gp as ", " select 7"), then: queries("execute gp"), undo: queries("deallocate gp")},
		{name: "query: DEALLOCATE", query: comment("prepare gp as select 7;", " deallocate all"), then: queries("execute gp")},
		{name: "query: advisory lock", query: comment("", "select pg_advisory_lock(77)"), then: queries("select count(*) from pg_locks where locktype = 'advisory' and objid = 77 and pid = pg_backend_pid()"), undo: queries("select pg_advisory_unlock_all()")},
		{name: "query: block", query: append(comment("begin", ""), append(comment("select 1", ""), comment("", "commit")...)...)},
		{name: "query: LISTEN", query: comment("", "listen giants"), then: queries("select pg_listening_channels()"), undo: queries("unlisten *")},
		{name: "query: DISCARD", query: comment("set work_mem = '5MB'; reset all; select 1", ""), then: shows},
		{name: "query: not ended", query: exactly(n, ' ', func(pad string) []byte { return appendMessage(nil, wire.Query, "select 1 "+pad) })},
		{name: "query: more than a text", query: exactly(n, ' ', func(pad string) []byte { return appendMessage(nil, wire.Query, "select 1\x00"+pad) })},
		{name: "query: call", query: call},
		{name: "text", batch: prepare("", "select 1 /*", "*/")},
		{name: "text, its end behind", batch: prepare("", "/*", "*/ select 1")},
		{name: "text of a name", batch: prepare("given", "select 1 /*", "*/")},
		{name: "text with an error", batch: prepare("", "select 1 /*", "*/ from from")},
		{name: "text with an error of a name", batch: prepare("given", "select 1 /*", "*/ from nowhere")},
		{name: "SET", batch: prepare("", "/*", "*/ set work_mem = '5MB'"), then: shows, undo: resets},
		{name: "SET in front", batch: prepare("", "set work_mem = '5MB' /*", "*/"), then: shows, undo: resets},
		{name: "SET of a name", batch: prepare("given", "/*", "*/ set work_mem = '5MB'"), then: shows, undo: resets},
		{name: "temporary table", batch: prepare("", "/*", "*/ create temp table giant (a int)"), then: table, undo: drops},
		{name: "argument", batch: say("", parse("", "select length($1::text), md5($1)"), exactly(n, 'a', func(pad string) []byte { return bound("", "", pad) }), execute("", 0)).send},
		{name: "argument of a name", batch: say("", parse("given", "select length($1::text), md5($1)"), exactly(n, 'a', func(pad string) []byte { return bound("", "given", pad) }), execute("", 0)).send},
		{name: "arguments", batch: say("", parse("", "select length($1::text), md5($2::text)"), bound("", "", strings.Repeat("a", n), strings.Repeat("b", n)), execute("", 0)).send},
	}
}

// giantNames have long names of statements and portals.
func giantNames(n int) []giant {
	name := strings.Repeat("n", min(n, 40_000)) // longer ones are only slower
	other := strings.Repeat("o", len(name))
	return []giant{
		{name: "name", batch: say("", parse(name, "select 1"), bound("", name), execute("", 0)).send, then: []step{say("Z", bound("", name), execute("", 0), msgSync)}, undo: queries("deallocate all")},
		{name: "name that is taken", batch: say("", parse(name, "select 1"), parse(name, "select 2")).send, then: []step{say("Z", bound("", name), execute("", 0), msgSync)}, undo: queries("deallocate all")},
		{name: "name that is not there", batch: say("", bound("", name), execute("", 0)).send},
		{name: "portal", batch: say("", parse("", "select 1"), bound(other, ""), msgFlush).send},
		{name: "portal of a name", batch: say("", parse(name, "select 1"), bound(other, name), msgFlush).send, undo: queries("deallocate all")},
		{name: "portal, executed", batch: say("", parse("", "select 1"), bound(other, ""), execute(other, 0)).send, closes: true},
		{name: "portal, described", batch: say("", parse("", "select 1"), bound(other, ""), describe('P', other)).send, closes: true},
		{name: "name, described", batch: say("", parse(name, "select 1"), describe('S', name)).send, undo: queries("deallocate all"), closes: true},
		{name: "name, closed", batch: say("", parse(name, "select 1"), closes('S', name)).send, then: []step{say("Z", bound("", name), execute("", 0), msgSync)}, closes: true},
	}
}

// giantCopies have long copy data.
func giantCopies(n int) []giant {
	data := exactly(n, 'x', func(pad string) []byte { return copyData(pad + "\n") })
	in, ints := "copy giant_texts from stdin", "copy giant_ints from stdin"
	count := queries("select count(*), sum(length(a)) from giant_texts", "truncate giant_texts")
	return []giant{
		{name: "copied", batch: ext(fmt.Sprintf("copy (select repeat('x', %d) from generate_series(1, 3)) to stdout", n-6))},
		{name: "query: copied", query: simple(fmt.Sprintf("copy (select repeat('x', %d) from generate_series(1, 3)) to stdout", n-6))},
		{name: "query: copy data", query: say("", simple(in), data, data, msgCopyDone).send, then: count},
		{name: "query: wrong copy data", query: say("", simple(ints), data, data, msgCopyDone).send},
		{name: "query: copy that is given up", query: say("", simple(in), data, copyFail(strings.Repeat("f", min(n, 9_000)))).send, then: count},
		{name: "copy data", batch: say("", ext(in), data, data, msgCopyDone).send, then: count},
		{name: "wrong copy data", batch: say("", ext(ints), data, data, msgCopyDone).send},
	}
}
