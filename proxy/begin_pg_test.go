//go:build pg

package proxy

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// blocks are texts around transaction blocks, each run in a transaction state that the ones before it left.
var blocks = map[string][]string{
	"empty":      {"BEGIN", "COMMIT", "BEGIN", "ROLLBACK", "begin;", "end ;", "start transaction", "abort", "select 1"},
	"twice":      {"begin", "begin", "start transaction", "select 1", "begin", "commit", "commit", "rollback", "end", "abort"},
	"outside":    {"commit", "rollback", "end", "abort work", "commit transaction", "commit and chain", "rollback and chain", "commit and no chain"},
	"isolation":  {"begin isolation level repeatable read", "show transaction_isolation", "commit", "show transaction_isolation"},
	"read only":  {"begin read only", "show transaction_read_only", "insert into keyed values (77)", "select 1", "commit", "select 1"},
	"all modes":  {"begin transaction isolation level read committed, read only, not deferrable", "show transaction_read_only", "end"},
	"rest modes": {"begin isolation level serializable", "show transaction_isolation", "commit", "begin deferrable", "show transaction_deferrable", "commit", "begin read write", "commit", "start transaction read write, isolation level serializable", "rollback"},
	"failed":     {"begin", "select 1/0", "select 1", "begin", "savepoint a", "commit", "select 1"},
	"failed end": {"begin", "selec", "rollback", "begin", "selec", "end", "begin", "selec", "abort"},
	"first bad":  {"begin", "select 1/0", "rollback", "begin isolation level nonsense", "begin nonsense", "start", "select 1", "begin; rollback to nowhere", "rollback"},
	"chain":      {"begin", "commit and chain", "select 1", "commit and chain", "select 2", "rollback and chain", "rollback", "begin isolation level repeatable read", "select 1", "commit and chain", "show transaction_isolation", "commit", "begin", "rollback and chain", "show transaction_isolation", "commit"},
	"savepoint":  {"savepoint a", "begin", "savepoint a", "select 1/0", "rollback to a", "select 1", "release a", "commit", "begin", "rollback to nowhere", "rollback", "release a"},
	"in one":     {"begin; select 1", "select 2", "commit", "begin; select 1; commit", "begin; commit", "select 1; commit", "select 1; begin", "select 2; commit; select 3", "begin; begin; commit; commit", "commit; begin; select 1", "rollback; select 1"},
	"in one bad": {"begin; select 1/0; select 2", "select 1", "rollback", "select 1; select 1/0; select 2", "select 1; selec; select 2", "begin; commit; select 1/0", "select 1"},
	"set":        {"begin", "set local work_mem = '3MB'", "show work_mem", "commit", "show work_mem", "begin", "set transaction isolation level serializable", "show transaction_isolation", "commit", "set transaction read only", "set local work_mem = '4MB'"},
	"spelling": {"  BeGiN  ", "/* comment */ Commit", "-- line\nbegin\n", "COMMIT -- after", "/* a /* nested */ b */ begin", "end/**/;;", ";;begin;;", ";rollback",
		"begin work", "commit work", "begin transaction", "rollback transaction", "\tSTART\nTRANSACTION\r\n", "\fabort\v", "begin--x", "end--x"},
	"look-alikes": {"begin2", "beginn", "commit 1", "commit prepared 'nothing'", "rollback prepared 'nothing'", "\"begin\"", "begin $1", "commit;;;x", "start transaction work", "begin work transaction", "end transaction work"},
	"empty query": {"", ";", " ; ; ", "-- only a comment", "/* only */ /* comments */", "begin", "", ";", "select 1", "", "commit", "\n", "/* open", "select 1/0", "begin", "select 1/0", "", ";", "commit"},
	"time":        {"begin", "select now() = statement_timestamp() or now() < statement_timestamp()", "commit"},
	"prepared":    {"begin", "prepare transaction 'x'", "commit"},
	"cursor":      {"begin", "declare c cursor for select generate_series(1, 5)", "fetch 2 from c", "fetch all from c", "commit", "fetch 1 from c"},
}

func TestTransactionBlocksInSimpleProtocol(t *testing.T) {
	g := narrow(t, 2, nil)
	for name, texts := range blocks {
		t.Run(name, func(t *testing.T) { same(t, g, queries(texts...)...) })
	}
}

func TestTransactionBlocksInOneWrite(t *testing.T) {
	g := narrow(t, 2, nil)
	for name, texts := range blocks {
		t.Run(name, func(t *testing.T) {
			var simple, extended []byte
			for _, s := range queries(texts...) {
				simple = append(simple, s.send...)
			}
			for _, s := range batches(texts...) {
				extended = append(extended, s.send...)
			}
			until := strings.Repeat("Z", len(texts))
			same(t, g, step{send: simple, until: until})
			same(t, g, step{send: extended, until: until})
			same(t, g, step{send: append(simple, extended...), until: until + until, each: 7})
		})
	}
}

// forms are the ways in which drivers send a statement in the extended protocol.
var forms = map[string]func(text string) step{
	"whole":       func(text string) step { return say("Z", unnamed(text)) },
	"no describe": func(text string) step { return say("Z", parse("", text), bound("", ""), execute("", 0), msgSync) },
	"portal": func(text string) step {
		return say("Z", parse("", text), bound("", ""), describe('P', ""), execute("", 0), msgSync)
	},
	"both": func(text string) step {
		return say("Z", parse("", text), describe('S', ""), bound("", ""), describe('P', ""), execute("", 0), msgSync)
	},
	"row limit":    func(text string) step { return say("Z", parse("", text), bound("", ""), execute("", 1), msgSync) },
	"named portal": func(text string) step { return say("Z", parse("", text), bound("p", ""), execute("p", 0), msgSync) },
	"closes after": func(text string) step {
		return say("Z", parse("", text), bound("", ""), execute("", 0), closes('P', ""), closes('S', ""), msgSync)
	},
	"argument": func(text string) step { return say("Z", parse("", text), bound("", "", "1"), execute("", 0), msgSync) },
	"executed twice": func(text string) step {
		return say("Z", parse("", text), bound("", ""), execute("", 0), execute("", 0), msgSync)
	},
	"in two": func(text string) step {
		return say("ZZ", parse("", text), describe('S', ""), msgSync, bound("", ""), execute("", 0), msgSync)
	},
}

func TestTransactionBlocksInExtendedProtocol(t *testing.T) {
	g := narrow(t, 2, nil)
	for form, of := range forms {
		t.Run(form, func(t *testing.T) {
			var steps []step
			for _, name := range slices.Sorted(maps.Keys(blocks)) {
				for _, text := range blocks[name] {
					steps = append(steps, of(text))
				}
				steps = append(steps, queries("rollback")...)
			}
			same(t, g, steps...)
		})
	}
}

func TestTransactionBlocksInMixedProtocols(t *testing.T) {
	g := narrow(t, 2, nil)
	for name, texts := range blocks {
		t.Run(name, func(t *testing.T) {
			var one, other []step
			for i, text := range texts {
				pair := []step{say("Z", simple(text)), say("Z", unnamed(text))}
				one, other = append(one, pair[i%2]), append(other, pair[1-i%2])
			}
			same(t, g, one...)
			same(t, g, other...)
		})
	}
}

// BEGIN and more in one batch: what follows BEGIN before Sync belongs to its transaction.
func TestBeginWithMoreInItsBatch(t *testing.T) {
	p := func(text string) []byte {
		return append(append(parse("", text), bound("", "")...), execute("", 0)...)
	}
	g := narrow(t, 2, nil)
	for name, steps := range map[string][]step{
		"select":        {say("Z", p("begin"), p("select 1"), msgSync), say("Z", p("select 2"), p("commit"), msgSync)},
		"block":         {say("Z", p("begin"), p("select 1"), p("commit"), msgSync)},
		"error":         {say("Z", p("begin"), p("select 1/0"), p("commit"), msgSync), say("Z", p("commit"), msgSync)},
		"deferred":      {say("Z", unnamed("begin")), say("Z", p("select 1"), p("commit"), msgSync), say("Z", p("select 1"), msgSync)},
		"pipeline":      {say("ZZZ", unnamed("begin"), unnamed("select 1"), unnamed("commit"))},
		"pipelines":     {say("ZZZZZZ", unnamed("begin"), unnamed("commit"), unnamed("begin"), unnamed("select 1/0"), unnamed("commit"), unnamed("select 1"))},
		"flush":         {say("C", p("begin"), msgFlush), say("C", p("select 1"), msgFlush), say("C", p("commit"), msgFlush), say("Z", msgSync)},
		"begin, sync":   {say("Z", simple("begin")), say("Z", msgSync), say("Z", msgSync), say("Z", simple("commit")), say("Z", msgSync)},
		"begin, flush":  {say("Z", simple("begin"), msgFlush), say("Z", simple("commit"), msgFlush), say("Z", msgSync)},
		"close in it":   {say("Z", simple("begin")), say("Z", closes('S', "nothing"), closes('P', ""), msgSync), say("Z", simple("commit"))},
		"describe none": {say("Z", simple("begin")), say("Z", describe('P', "nothing"), msgSync), say("Z", simple("commit"))},
		"execute none":  {say("Z", simple("begin")), say("Z", execute("nothing", 0), msgSync), say("Z", simple("commit"))},
	} {
		t.Run(name, func(t *testing.T) { same(t, g, steps...) })
	}
}

// A transaction that does nothing takes no server.
func TestEmptyTransactionTakesNoServer(t *testing.T) {
	g := narrow(t, 1, nil)
	holder, _ := enter(t, g.addr)
	holder.expect("begin; select pg_backend_pid() > 0", "C BEGIN; T ?column?:16:0; D t; C SELECT 1; Z T")
	p, _ := enter(t, g.addr)
	p.expect("begin", "C BEGIN; Z T")
	p.expect("commit", "C COMMIT; Z I")
	p.expect("", "I; Z I")
	p.write(unnamed("begin"))
	p.read("Z")
	p.write(unnamed("rollback"))
	p.read("Z")
	if got, want := strings.Join(p.lines(), "; "), `1; t "\x00\x00"; n; 2; C BEGIN; Z T; 1; t "\x00\x00"; n; 2; C ROLLBACK; Z I`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	holder.leave()
}
