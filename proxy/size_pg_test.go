//go:build pg

package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgguard/proxy/sock"
)

// TestErrorLongerThanABufferIsAnError: whatever its length, the server reads over the rest of the batch after it.
func TestErrorLongerThanABufferIsAnError(t *testing.T) {
	for _, size := range []int{100, 16000, 16300, sock.BufferSize - sock.Headroom - 100, sock.BufferSize, 17000, 70000, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			g := narrow(t, 1, nil)
			raise := fmt.Sprintf("do $$begin raise exception '%%', repeat('x',%d); end$$", size)
			same(t, g,
				say("Z", append(parse("", raise), append(bound("", ""), execute("", 0)...)...), unnamed("select 1")),
				say("Z", simple("select 2")),
				say("Z", simple("begin")), say("Z", unnamed(raise)), say("Z", simple("select 3")), say("Z", simple("rollback")),
				say("Z", parse("i", "select $1::int"), bound("", "i", strings.Repeat("y", size)), execute("", 0), parse("q", "select 777"), msgSync),
				say("Z", parse("q", "select 778"), bound("", "q"), execute("", 0), msgSync),
			)
			same(t, g, say("Z", parse("n", "select 777"), bound("", "n"), execute("", 0), msgSync))
			g.atRest(t)
		})
	}
}

// TestWrongCopyDataLongerThanABuffer: the client reads the error, sends its Sync and goes on.
func TestWrongCopyDataLongerThanABuffer(t *testing.T) {
	g := narrow(t, 1, nil)
	_, _ = direct(t, shared).query("drop table if exists cp; create table cp (a int)")
	for _, size := range []int{100, 16000, 20000, 1 << 20} {
		same(t, g,
			say("G", parse("", "copy cp from stdin"), bound("", ""), execute("", 0), msgFlush),
			say("E", copyData(strings.Repeat("y", size)+"\n"), msgFlush), say("Z", msgSync),
			say("Z", simple("select 1")),
			say("G", parse("", "copy cp from stdin"), bound("", ""), execute("", 0), msgSync),
			say("E", copyData(strings.Repeat("y", size)+"\n")), say("Z", msgCopyDone, msgSync),
			say("G", simple("copy cp from stdin")), say("EZ", copyData(strings.Repeat("y", size)+"\n"), msgCopyDone),
			say("Z", simple("select 1")),
		)
	}
	g.atRest(t)
}

// TestLongNames: names longer than PostgreSQL keeps, and than a buffer, mean what they mean to PostgreSQL.
func TestLongNames(t *testing.T) {
	for _, size := range []int{64, 1000, 9900, 10_100, 16_300, 20_000, 40_000} {
		name, other := strings.Repeat("n", size), strings.Repeat("p", size)
		for what, steps := range map[string][]step{
			"parse":           {say("Z", parse(name, "select 1"), msgSync), say("Z", bound("", name), execute("", 0), msgSync)},
			"portal":          {say("Z", parse("s", "select 1"), bound(other, "s"), msgFlush, execute("", 0), msgSync)},
			"both":            {say("Z", parse(name, "select 1"), bound(other, name), msgSync), say("Z", simple("select 1"))},
			"short statement": {say("Z", parse("s", "select 5"), msgSync), say("Z", bound(other, "s"), msgSync), say("Z", bound("", "s"), execute("", 0), msgSync)},
			"describe":        {say("Z", parse(name, "select 1"), msgSync), say("Z", describe('S', name), msgSync)},
			"close":           {say("Z", parse(name, "select 1"), msgSync), say("Z", closes('S', name), msgSync), say("Z", bound("", name), msgSync)},
			"execute":         {say("Z", parse("", "select 1"), bound(other, ""), execute(other, 0), msgSync)},
		} {
			t.Run(fmt.Sprintf("%s %d", what, size), func(t *testing.T) {
				g := narrow(t, 1, nil)
				want, got := scripted(t, address(shared), nil, steps), scripted(t, g.addr, nil, steps)
				// PostgreSQL closes without a word where the guard says why.
				got = slices.DeleteFunc(got, func(line string) bool {
					return strings.HasPrefix(line, "E SFATAL VFATAL C08P01 Minvalid message length")
				})
				compare(t, want, got)
				g.atRest(t)
			})
		}
	}
}

// TestLongMessageBehindAnErrorIsReadOver: also where the server must be asked first whether its copy of a statement is the client's, and the
// error comes meanwhile.
func TestLongMessageBehindAnErrorIsReadOver(t *testing.T) {
	for _, size := range []int{100, 16_000, 16_344, 17_000, 70_000} {
		for name, bad := range map[string][]byte{
			"taken name": parse("c", "select $1::int"),
			"syntax":     parse("d", "selec $1::text"),
			"bad bind":   bound("", "c", "1", "2"),
		} {
			t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) {
				g := narrow(t, 2, nil)
				p, _ := enter(t, g.addr)
				for range 4 { // on either server
					p.write(slices.Concat(parse("c", "select $1::text"), describe('S', "c"), msgSync))
					p.read("Z")
					p.lines()
					holder, _ := enter(t, g.addr)
					holder.ask("begin; select 1")
					p.write(slices.Concat(simple("select 2"), bad, bound("", "c", strings.Repeat("z", size)), execute("", 0), msgSync))
					p.read("ZZ")
					got := p.lines()
					if n := len(got); p.over || n == 0 || got[n-1] != "Z I" || !strings.HasPrefix(got[n-2], "E SERROR") {
						t.Fatalf("got %q", got)
					}
					p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
					p.write(slices.Concat(closes('S', "c"), msgSync))
					p.read("Z")
					p.lines()
					holder.leave()
				}
				p.leave()
				g.atRest(t)
			})
		}
	}
}
