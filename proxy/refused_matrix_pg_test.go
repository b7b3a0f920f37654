//go:build pg

package proxy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// functionOid is the OID of function asks.
func functionOid(t *testing.T, admin *caller) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(admin.one(t, "select 'asks(text)'::regprocedure::oid"), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// A statement that was refused is not run: not in part, not later, whatever the session is and whatever was asked for.
// It is answered with one error; the client goes on with what it had before.
func TestRefusedIsNotRun(t *testing.T) {
	admin := askedTable(t, shared)
	oid := functionOid(t, admin)
	for i, way := range pressures {
		for _, k := range keeps {
			if k.open && i > 0 {
				continue // to them all ways are one
			}
			t.Run(way.name+"/"+k.name, func(t *testing.T) {
				id := way.name + "/" + k.name
				tried := tryAll(t, way, k, id, oid)
				found := rows(t, admin)
				for _, c := range tried {
					t.Run(c.plea.name, func(t *testing.T) { c.check(t, way.code, found) })
				}
			})
		}
	}
}

// trial is one plea of one session, and what came of it.
type trial struct {
	kept
	plea
	id, mirror string
	p          *speaker
	told       []string // the answer
	direct     []string // the answer on a direct connection, where the session meets no pressure
	after      []string // what the session got for what is right afterwards
}

// tryAll puts a guard under pressure and plays every plea to it, each in a session of its own.
func tryAll(t *testing.T, way pressure, k kept, id string, oid uint32) (out []*trial) {
	t.Helper()
	late := calm(2 * time.Second)
	all := pleas(id, oid)
	sq := newSqueeze(t, k, way.set)
	if way.hurries {
		sq.warm(t, len(all)-1)
	}
	for i := range all {
		own := fmt.Sprintf("%s/%d", id, i)
		c := &trial{kept: k, plea: pleas(own, oid)[i], id: own, mirror: own + " direct"}
		c.p = k.enter(t, sq.addr, own)
		out = append(out, c)
		if k.open {
			c.playDirect(t, i, oid)
		}
	}
	sq.press(t, way.crowded)
	for _, c := range out {
		c.write()
		if way.cancels && !k.open {
			c.cancelAll(&late, sq)
		}
	}
	for _, c := range out {
		c.hear(&late)
	}
	sq.release(t, way.crowded)
	for _, c := range out {
		c.finish(&late)
	}
	return out
}

func (c *trial) write() {
	for _, b := range c.asks {
		c.p.write(b)
	}
}

// hear reads what comes while there is no room.
func (c *trial) hear(late *calm) {
	switch {
	case c.open:
	case c.then != nil:
		if c.p.heard('E') > 0 || late.hears(c.p, 'E', 1) {
			c.p.write(c.then)
		}
		fallthrough
	case c.later == nil:
		late.hears(c.p, 'Z', strings.Count(c.want, "Z")-c.p.heard('Z'))
	case c.p.heard('E') == 0:
		late.hears(c.p, 'E', 1)
	}
}

// finish reads what comes when there is room, and what the session gets for other things.
func (c *trial) finish(late *calm) {
	p := c.p
	ends := strings.Count(c.want, "Z")
	if c.open {
		p.write(c.then)
		if c.ends > 0 && !c.fails {
			ends = c.ends
		}
	}
	p.write(c.later)
	late.hears(p, 'Z', ends-p.heard('Z'))
	c.told = p.lines()
	for _, s := range c.afterwards() {
		p.write(s.send)
		if !late.hears(p, 'Z', 1) {
			break
		}
	}
	c.after = p.lines()
	p.write(wire.AppendEmpty(nil, wire.Terminate))
	_ = p.nc.Close()
}

// afterwards is what the session does when all is over.
func (c *trial) afterwards() []step {
	var out []step
	if c.end != "" {
		out = queries(c.end)
	}
	out = append(out, say("Z", simple("select 1")), say("Z", unnamed("select 2")))
	if !c.bare() {
		out = append(out, say("Z", bound("", "before"), execute("", 0), msgSync))
	}
	return append(out, say("Z", parse("mine", "select 3"), bound("", "mine"), execute("", 0), msgSync))
}

// cancelAll cancels what the session waits for until all of it has been answered.
func (c *trial) cancelAll(late *calm, sq *squeeze) {
	typ, n := byte('Z'), strings.Count(c.want, "Z")
	if c.then != nil || c.later != nil {
		typ, n = 'E', 1
	}
	start := time.Now()
	for end := late.until(); time.Now().Before(end); {
		if sq.Stats().Clients["waiting"] > 0 {
			_ = cancelWith(sq.addr, c.p.pid, c.p.key)
		}
		if c.p.hears(typ, n-c.p.heard(typ), time.Now().Add(time.Millisecond)) || c.p.over {
			return
		}
	}
	*late -= calm(time.Since(start))
}

// playDirect plays the same on a direct connection.
func (c *trial) playDirect(t *testing.T, i int, oid uint32) {
	t.Helper()
	d := &trial{kept: c.kept, plea: pleas(c.mirror, oid)[i]}
	d.p = c.enter(t, address(shared), c.mirror)
	d.write()
	late := calm(patience)
	d.finish(&late)
	c.direct = append(d.told, d.after...)
}

// guardWords are where refusals of the guard say what cannot be foreseen.
var guardWords = regexp.MustCompile(`^(E S\w+ V\w+ C\w+) M.*`)

// check fails the test if the trial did not go as it should.
func (c *trial) check(t *testing.T, code string, found map[string]int) {
	got := under(found, c.id)
	if c.open {
		compare(t, c.direct, append(c.told, c.after...))
		if want := under(found, c.mirror); got != want {
			t.Errorf("rows %s, want %s", got, want)
		}
		return
	}
	if want := strings.Join(c.answer(code), "; "); brief(c.told) != want {
		t.Errorf("answer\n got %s\nwant %s", brief(c.told), want)
	}
	after := `T ?column?:23:0; D 1; C SELECT 1; Z I; 1; t "\x00\x00"; T ?column?:23:0; 2; D 2; C SELECT 1; Z I`
	kept := "map[]"
	if c.end != "" {
		after = "C ROLLBACK; Z I; " + after
	}
	if !c.bare() {
		after += "; 2; C INSERT 0 1; Z I"
		kept = "map[before:1]"
	}
	after += "; 1; 2; D 3; C SELECT 1; Z I"
	if brief(c.after) != after {
		t.Errorf("afterwards\n got %s\nwant %s", brief(c.after), after)
	}
	if got != kept {
		t.Errorf("rows %s, want %s", got, kept)
	}
}

// answer is the answer to a plea that was refused with this code.
func (c *trial) answer(code string) (out []string) {
	state := "I"
	if c.end != "" {
		state = "T"
	}
	for _, w := range c.want {
		if w == 'E' {
			out = append(out, "E SERROR VERROR C"+code)
			if c.end != "" {
				code, state = "25P02", "E"
			}
		} else {
			out = append(out, "Z "+state)
		}
	}
	return out
}

// brief is an answer without the words of errors; many that are the same are one.
func brief(lines []string) string {
	var out []string
	for i := 0; i < len(lines); i++ {
		l := guardWords.ReplaceAllString(lines[i], "$1")
		n := 1
		for ; l[0] == 'E' && i+1 < len(lines) && guardWords.ReplaceAllString(lines[i+1], "$1") == l; i++ {
			n++
		}
		if n > 1 {
			l = fmt.Sprintf("%d × %s", n, l)
		}
		out = append(out, l)
	}
	return strings.Join(out, "; ")
}
