//go:build pg

package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgguard/proxy/wire"
)

// manner is a way to play giants.
type manner struct {
	name   string
	mode   PoolMode // of the guard
	before []step   // of each script
	each   int      // bytes a write, 0: all in one
	sizes  []int
}

var manners = []manner{
	{name: "free", sizes: sizes},
	{name: "pinned", before: queries("create temp table pin (a int)"), sizes: []int{70_000}},
	{name: "session mode", mode: PoolModeSession, sizes: []int{70_000}},
	{name: "in pieces", each: 3001, sizes: []int{33_000}},
}

// Messages of any size mean the same: alone, within a batch, between batches and in a transaction. What is prepared
// around them is there afterwards or is not, as on a direct connection, and the server serves others.
func TestSizeChangesNothing(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{
		"drop table if exists giant_texts, giant_ints", "create table giant_texts (a text)", "create table giant_ints (a int)",
	} {
		admin.want(t, admin.query, text, "", 'I')
	}
	for _, m := range manners {
		t.Run(m.name, func(t *testing.T) {
			g := narrow(t, 1, func(c *Config) {
				if m.mode != PoolModeDefault {
					c.Mode = m.mode
				}
			})
			for i, c := range giants(0) {
				t.Run(c.name, func(t *testing.T) {
					for _, n := range m.sizes {
						t.Run(fmt.Sprint(n), func(t *testing.T) { sameGiant(t, g, m, giants(n)[i]) })
					}
				})
			}
		})
	}
}

// sameGiant plays the giant in every place.
func sameGiant(t *testing.T, g *guard, m manner, c giant) {
	steps := append(slices.Clone(m.before), c.places()...)
	for i := range steps {
		steps[i].each = m.each
	}
	want, got := scripted(t, address(shared), nil, steps), scripted(t, g.addr, nil, steps)
	if c.closes {
		// PostgreSQL closes without a word where the guard says why.
		got = slices.DeleteFunc(got, func(l string) bool { return strings.HasPrefix(l, "E SFATAL VFATAL C08P01 Minvalid message length") })
	}
	compare(t, want, got)
	others := []step{
		say("Z", parse("n", "select 777"), bound("", "n"), execute("", 0), msgSync), say("Z", unnamed("select 'after'")),
		say("Z", parse("a0", "select 'a0'"), bound("", "a0"), execute("", 0), msgSync), say("Z", simple("show work_mem")),
		say("Z", simple("select count(*) from pg_listening_channels()")),
	}
	compare(t, scripted(t, address(shared), nil, others), scripted(t, g.addr, nil, others))
	g.atRest(t)
}

// places are all places of a giant, one after the other.
func (c giant) places() (out []step) {
	whole := c.query
	if whole == nil {
		whole = append(slices.Clone(c.batch), msgSync...)
	}
	prepares := func(name string) []byte {
		return say("", parse(name, "select '"+name+"'"), bound("", name), execute("", 0)).send
	}
	within := say("", prepares("a1"), whole, prepares("z1"), msgSync).send
	if c.query == nil {
		within = say("", prepares("a1"), c.batch, prepares("z1"), msgSync).send
	}
	between := say("", prepares("a2"), msgSync, whole, prepares("z2"), msgSync).send
	for i, b := range [][]byte{whole, within, between} {
		b = bytes.ReplaceAll(b, []byte("@@"), fmt.Appendf(nil, "%02d", i))
		out = append(out, step{send: b, until: strings.Repeat("Z", readies(b))}, say("Z", closes('S', "given"), msgSync))
		out = append(append(out, c.then...), c.undo...)
		for _, name := range []string{fmt.Sprint("a", i), fmt.Sprint("z", i)} {
			out = append(out, say("Z", bound("", name), execute("", 0), msgSync), say("Z", prepares(name), msgSync))
		}
	}
	out = append(out, queries("begin")...)
	out = append(out, step{send: whole, until: strings.Repeat("Z", readies(whole))})
	out = append(append(out, c.then...), queries("select 'after'", "rollback")...)
	return append(append(out, c.undo...), say("Z", prepares("a3"), msgSync))
}

// readies is how many ReadyForQuery messages of a client are answered with.
func readies(b []byte) (n int) {
	for len(b) > 0 {
		typ, size, _, _ := wire.Peek(b)
		if typ == wire.Query || typ == wire.FunctionCall || typ == wire.Sync {
			n++
		}
		b = b[size:]
	}
	return n
}
