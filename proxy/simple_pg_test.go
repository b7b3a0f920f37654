//go:build pg

package proxy

import (
	"context"
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
)

func TestSimpleQueries(t *testing.T) {
	g := narrow(t, 2, nil)
	for name, texts := range map[string][]string{
		"several":          {"select 1; select 2; select 3", "select 1;; ; select 2", "create temp table x (a int); drop table x"},
		"error in between": {"select 1; select 1/0; select 2", "select 1; selec 2; select 3", "insert into keyed values (50); select 1/0", "select count(*) from keyed"},
		"notices":          {"select shout('one'); select shout('two')", "do $$ begin raise warning 'careful' using detail = 'more', hint = 'less', errcode = '01234'; end $$", "drop table if exists nothing"},
		"errors":           {"insert into keyed values (1)", "select * from nothing", "select 'x'::int", "do $$ begin raise exception using errcode = 'XX123', message = 'mine', detail = 'd', hint = 'h'; end $$"},
		"no columns":       {"select", "select from keyed", "values (1, null, ''), (2, 'two', 'x')"},
		"settings":         {"set timezone = 'Asia/Tokyo'", "select 1", "set timezone = 'UTC'; set datestyle = 'German'", "begin", "set local timezone = 'Europe/Paris'", "rollback", "reset timezone", "set application_name = 'me'", "reset all except nothing", "reset datestyle"},
		"show":             {"show server_version", "show all_is_well", "show transaction_isolation"},
		"bytes":            {"select '\u00e4\u20ac\U0001f600'", "select '\xff\xfe'", "select E'\\x41\\000'"},
		"listen":           {"listen me", "notify me, 'myself'", "select 1", "begin", "notify me, 'later'", "select 1", "commit", "unlisten me", "notify me"},
		"cursor":           {"begin", "declare c cursor for select generate_series(1, 5)", "fetch 2 from c", "move 1 in c", "fetch all from c", "close c", "fetch c", "rollback"},
		"vacuum":           {"vacuum keyed", "begin; vacuum keyed", "rollback"},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, g, queries(texts...)...)
			g.atRest(t)
		})
	}
}

func TestExtendedProtocol(t *testing.T) {
	g := narrow(t, 2, nil)
	series := "select generate_series(1, 5)"
	for name, steps := range map[string][]step{
		"row limit":           {say("s", parse("", series), bound("", ""), execute("", 2), msgFlush), say("s", execute("", 2), msgFlush), say("CZ", execute("", 2), msgSync), say("Z", execute("", 2), msgSync)},
		"row limit, block":    {say("Z", simple("begin")), say("Z", parse("", series), bound("p", ""), execute("p", 2), msgSync), say("Z", execute("p", 2), msgSync), say("Z", simple("select 1")), say("Z", execute("p", 0), msgSync), say("Z", closes('P', "p"), execute("p", 0), msgSync), say("Z", simple("rollback"))},
		"flush":               {say("1", parse("", series), msgFlush), say("T", describe('S', ""), msgFlush), say("2", bound("", ""), msgFlush), say("C", execute("", 0), msgFlush), say("Z", msgSync)},
		"flush, error":        {say("E", parse("", "selec"), msgFlush), say("", bound("", ""), execute("", 0), msgFlush), say("Z", msgSync), say("Z", simple("select 1"))},
		"skips to sync":       {say("ZZ", parse("", "selec"), bound("", ""), execute("", 0), parse("", "select 1"), msgSync, unnamed("select 2"))},
		"skips, named":        {say("ZZ", parse("a", "select 1/(2-$1::int)"), bound("", "a", "1"), execute("", 0), bound("", "a", "2"), execute("", 0), bound("", "a", "3"), execute("", 0), msgSync, bound("", "a", "3"), execute("", 0), msgSync)},
		"batch is one block":  {say("Z", ext("insert into keyed values (60)"), ext("select count(*) from keyed"), ext("select 1/0"), msgSync), say("Z", unnamed("select count(*) from keyed"))},
		"named":               {say("Z", parse("a", "select $1::int + 1"), describe('S', "a"), msgSync), say("Z", bound("", "a", "1"), execute("", 0), msgSync), say("Z", parse("a", "select 2"), msgSync), say("Z", closes('S', "a"), msgSync), say("Z", bound("", "a", "1"), execute("", 0), msgSync)},
		"describes":           {say("Z", parse("", "select $1::int, $2::text"), describe('S', ""), bound("", "", "1", "x"), describe('P', ""), msgSync), say("Z", describe('P', ""), msgSync), say("Z", describe('S', "none"), msgSync)},
		"no rows":             {say("Z", unnamed("update keyed set id = id where false")), say("Z", unnamed("")), say("Z", unnamed("-- nothing")), say("Z", unnamed("select"))},
		"several":             {say("Z", unnamed("select 1; select 2")), say("Z", unnamed("select 1;"))},
		"only sync":           {say("Z", msgSync), say("ZZZ", msgSync, msgSync, msgSync), say("Z", msgFlush, msgSync)},
		"close nothing":       {say("Z", closes('S', "none"), closes('P', "none"), closes('S', ""), closes('P', ""), msgSync)},
		"sync in pieces":      {say("", parse("", "select 1")), say("", bound("", "")), say("", execute("", 0)), say("Z", msgSync)},
		"types":               {say("Z", appendMessage(nil, 'P', "\x00select $1\x00\x00\x01\x00\x00\x00\x17"), bound("", "", "5"), describe('P', ""), execute("", 0), msgSync), say("Z", bound("", "", "five"), execute("", 0), msgSync)},
		"binary":              {say("Z", parse("", "select $1::int"), appendMessage(nil, 'B', "\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x04\x00\x00\x00\x07\x00\x01\x00\x01"), execute("", 0), msgSync)},
		"null":                {say("Z", parse("", "select $1::int is null"), appendMessage(nil, 'B', "\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00"), execute("", 0), msgSync)},
		"malformed":           {say("Z", appendMessage(nil, 'B', "\x00"), msgSync), say("Z", appendMessage(nil, 'P', "no end"), msgSync), say("Z", appendMessage(nil, 'D', "X\x00"), msgSync), say("Z", appendMessage(nil, 'E', "\x00"), msgSync), say("Z", simple("select 1"))},
		"malformed, in block": {say("Z", simple("begin")), say("Z", appendMessage(nil, 'B', "\x00"), msgSync), say("Z", simple("rollback"))},
		"malformed query":     {say("Z", appendMessage(nil, 'Q', "begin")), say("Z", appendMessage(nil, 'Q', "")), say("Z", appendMessage(nil, 'Q', "select 1\x00 2\x00")), say("Z", simple("commit"))},
		"notice":              {say("Z", unnamed("select shout('hey')")), say("Z", ext("select shout('a')"), ext("select shout('b')"), msgSync)},
		"settings":            {say("Z", unnamed("set timezone = 'Asia/Tokyo'")), say("Z", ext("set timezone = 'UTC'"), ext("select 1/0"), msgSync), say("Z", unnamed("show timezone"))},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, g, steps...)
			g.atRest(t)
		})
	}
}

func TestFunctionCall(t *testing.T) {
	// int4pl(2, 3), arguments and result in text; then one that does not exist.
	g := narrow(t, 1, nil)
	const int4pl = 177
	same(t, g, say("Z", callingWith(int4pl, "2", "3")), say("Z", callingWith(1)), say("Z", callingWith(int4pl, "two", "3")), say("Z", simple("select 1")))
	same(t, g, say("Z", simple("begin")), say("ZZ", callingWith(int4pl, "2", "3"), simple("select 1")), say("Z", callingWith(1)), say("Z", callingWith(int4pl, "2", "3")), say("Z", simple("commit")))
}

// A client is told when its next server's settings differ from what it was told at its login, as a server of its own would tell it that the
// configuration was read again.
func TestClientIsToldOfChangedSettings(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(c *Config) { c.Pool.MaxServers = 2 })
	p, _ := enter(t, g.addr)
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
	holder, _ := enter(t, g.addr)
	holder.expect("begin; select 1", "C BEGIN; T ?column?:23:0; D 1; C SELECT 1; Z T") // takes the server there is
	for _, text := range []string{"alter system set timezone = 'Asia/Tokyo'", "select pg_reload_conf()"} {
		if err := c.Exec(context.Background(), text); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "read again", func() bool { return direct(t, c).one(t, "show timezone") == "Asia/Tokyo" })
	got := strings.Join(p.ask("show timezone"), "; ") // opens another
	if want := "S TimeZone|Asia/Tokyo; T TimeZone:25:0; D Asia/Tokyo; C SHOW; Z I"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	holder.leave()
}
