//go:build pg

package proxy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgguard/pool/limit"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// mixed is true if the answer to one part of a plea, up to its ReadyForQuery, has both an error and something else.
func mixed(part []string) bool {
	errors := 0
	for _, l := range part {
		if l[0] == 'E' {
			errors++
		}
	}
	return errors > 1 || errors == 1 && len(part) > 2
}

// What was sent with a statement that is refused may be run when there is room a moment later, but only as a whole: each
// part, up to its ReadyForQuery, is run or refused, and has rows or an error.
func TestRefusedAsAWhole(t *testing.T) {
	admin := askedTable(t, shared)
	oid := functionOid(t, admin)
	for _, k := range keeps {
		switch k.name {
		case "free", "pinned by a table", "session mode", "BEGIN deferred":
		default:
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			sq := newSqueeze(t, k, classes(50*time.Millisecond, 1000))
			late := calm(2 * time.Second)
			for i, all := 0, pleas("", oid); i < len(all); i++ {
				if all[i].then != nil || all[i].later != nil {
					continue
				}
				t.Run(all[i].name, func(t *testing.T) { refuseFirst(t, sq, k, i, oid, admin, &late) })
			}
		})
	}
}

// refuseFirst plays plea i and makes room when the first error has been read.
func refuseFirst(t *testing.T, sq *squeeze, k kept, i int, oid uint32, admin *caller, late *calm) {
	id := fmt.Sprintf("%s/first/%d", k.name, i)
	c := &trial{kept: k, plea: pleas(id, oid)[i], id: id}
	c.p = k.enter(t, sq.addr, id)
	sq.press(t, false)
	c.write()
	late.hears(c.p, 'E', 1)
	sq.release(t, false)
	late.hears(c.p, 'Z', strings.Count(c.want, "Z")-c.p.heard('Z'))
	told := c.p.lines()
	c.p.write(simple("rollback"))
	late.hears(c.p, 'Z', 1)
	if got := brief(c.p.lines()); !strings.HasSuffix(got, "C ROLLBACK; Z I") {
		t.Errorf("then: %s", got)
	}
	c.p.write(wire.AppendEmpty(nil, wire.Terminate))
	_ = c.p.nc.Close()
	var part []string
	if !strings.Contains(brief(told), "E SERROR VERROR C53300") {
		t.Errorf("not refused: %s", brief(told))
	}
	for _, l := range told {
		part = append(part, l)
		if l[0] != 'Z' {
			continue
		}
		if mixed(part) {
			t.Errorf("neither run nor refused:\n%s", brief(told))
			break
		}
		part = nil
	}
	found := rows(t, admin)
	if first := c.firstId(id); found[id+"#"+first] > 0 || found[id+"#old"] > 0 || found[id+"#before"] > 0 {
		t.Errorf("refused, and rows %s\n%s", under(found, id), brief(told))
	}
}

// firstId is the number of the first row of a plea.
func (c *trial) firstId(id string) string {
	_, rest, _ := strings.Cut(string(c.asks[0]), id+"#")
	return strings.TrimRight(regexp.MustCompile(`^\w+`).FindString(rest), "\x00")
}

// A database that cannot be reached for long refuses at once; what it refused is not run when it is back.
func TestRefusedByAnOpenCircuitIsNotRun(t *testing.T) {
	admin := askedTable(t, shared)
	oid := functionOid(t, admin)
	tap := pgtest.NewTap(t, address(shared))
	g := newGuard(t, tap.Addr(), func(c *Config) { classes(patience, 1000)(c) })
	var tried []*trial
	for _, k := range keeps {
		switch k.name {
		case "free", "BEGIN deferred", "BEGIN deferred, in a batch":
		default:
			continue
		}
		for i, all := 0, pleas("", oid); i < len(all); i++ {
			id := fmt.Sprintf("circuit/%s/%d", k.name, i)
			c := &trial{kept: k, plea: pleas(id, oid)[i], id: id}
			c.p = k.enter(t, g.addr, id)
			tried = append(tried, c)
		}
	}
	first, _ := enter(t, g.addr)
	tap.Refuse(true)
	tap.Cut()
	eventually(t, "noticed", func() bool { s := g.pool().Servers; return s["idle"]+s["active"] == 0 })
	first.write(simple("select 1"))
	first.read("Z")
	eventually(t, "open", func() bool { return g.pool().BreakerOpen })
	late := calm(2 * time.Second)
	for _, c := range tried {
		c.write()
		c.hear(&late)
	}
	tap.Refuse(false)
	eventually(t, "closed", func() bool { return !g.pool().BreakerOpen })
	g.the(t).Pool.SetLimit(limit.Frozen(plenty))
	for _, c := range tried {
		c.finish(&late)
	}
	found := rows(t, admin)
	for _, c := range tried {
		t.Run(c.kept.name+"/"+c.plea.name, func(t *testing.T) { c.check(t, "53000", found) })
	}
}

// What waits when the guard is told to stop is not run, and its client is told so.
func TestRefusedByTheEndIsNotRun(t *testing.T) {
	admin := askedTable(t, shared)
	oid := functionOid(t, admin)
	for _, k := range keeps {
		if k.open {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			sq := newSqueeze(t, k, classes(patience, 1000))
			var tried []*trial
			for i, all := 0, pleas("", oid); i < len(all); i++ {
				id := fmt.Sprintf("end/%s/%d", k.name, i)
				c := &trial{kept: k, plea: pleas(id, oid)[i], id: id}
				c.p = k.enter(t, sq.addr, id)
				tried = append(tried, c)
			}
			sq.press(t, false)
			for _, c := range tried {
				c.write()
			}
			sq.waiting(t, len(tried))
			_ = sq.Close()
			for _, c := range tried {
				c.p.hears('Z', tooMuch, time.Now().Add(patience))
			}
			found := rows(t, admin)
			for _, c := range tried {
				if got := brief(c.p.lines()); !strings.HasSuffix(got, "E SFATAL VFATAL C57P01; closed") || strings.Contains(got, "C INSERT") {
					t.Errorf("%s: got %s", c.plea.name, got)
				}
				if got := under(found, c.id); got != "map[]" {
					t.Errorf("%s: rows %s", c.plea.name, got)
				}
			}
		})
	}
}
