//go:build pg

package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// TestServerAllocatesNothingThatIsOnlyAnnounced: whatever length a server announces, room is made for what has come.
func TestServerAllocatesNothingThatIsOnlyAnnounced(t *testing.T) {
	for _, typ := range "SDEN" {
		for _, length := range []uint32{0, 3, maxWhole - 1, 1<<30 - 1, 1 << 30, 1<<32 - 1} {
			t.Run(fmt.Sprintf("%c of %d", typ, length), func(t *testing.T) { announced(t, byte(typ), length) })
		}
	}
}

// announced has a server announce a message and send two kilobytes of it.
func announced(t *testing.T, typ byte, length uint32) {
	t.Helper()
	head := binary.BigEndian.AppendUint32([]byte{typ}, length)
	head = append(head, bytes.Repeat([]byte("x"), 2<<10)...)
	g, _ := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.SendBytes(head), pgtest.CloseHard())
	client, _ := enter(t, g.addr)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	client.write(wire.AppendText(nil, wire.Query, "select 1"))
	_, _ = io.CopyN(io.Discard, client.r, 1) // an error, or the end: not read, because a driver would make room for what is announced
	eventually(t, "the server dropped", func() bool { st := g.pool(); return st.Servers["active"]+st.Servers["idle"] == 0 })
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 3<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// TestServerThatReportsWithoutEndIsDropped: settings that no PostgreSQL has are not kept for ever, whether its server is lent or not.
func TestServerThatReportsWithoutEndIsDropped(t *testing.T) {
	var flood []byte
	for i := range 5000 {
		flood = wire.AppendText(flood, wire.ParameterStatus, fmt.Sprintf("setting_%d", i), strings.Repeat("x", 1000))
	}
	t.Run("lent", func(t *testing.T) {
		g, _ := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.SendBytes(flood), pgtest.Hang())
		client := g.call(t)
		if a, err := client.query("select 1"); err == nil && a.code() == "" {
			t.Errorf("got %s", a)
		}
		eventually(t, "the server dropped", func() bool { return g.pool().Servers["active"] == 0 })
	})
	t.Run("idle", func(t *testing.T) {
		g, fake := fakeGuard(t, pgtest.Expect('Q', pgtest.AskedOfAll), pgtest.Send(idleNow), pgtest.SendBytes(flood), pgtest.Hang())
		g.call(t)
		eventually(t, "the server dropped", func() bool { return fake.Accepted() >= 2 && g.pool().Servers["idle"] == 0 })
	})
	t.Run("the same again", func(t *testing.T) {
		again := bytes.Repeat(wire.AppendText(nil, wire.ParameterStatus, "TimeZone", "UTC"), 5000)
		g, _ := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.SendBytes(again), pgtest.Send(selected, idleNow), pgtest.Hang())
		client := g.call(t)
		client.want(t, client.query, "select 1", "", 'I')
	})
}

// TestClientWithoutAPasswordReads28P01: who has no password configured, or a wrong one, is told so at once, at login and for each
// statement that needs a new server.
func TestClientWithoutAPasswordReads28P01(t *testing.T) {
	for method, accept := range map[string]func(string) pgtest.Step{
		"clear": pgtest.AcceptCleartext, "md5": pgtest.AcceptMD5, "scram": pgtest.AcceptSCRAM,
	} {
		for name, password := range map[string]string{"none": "", "wrong": "hunter2"} {
			t.Run(method+"/"+name, func(t *testing.T) {
				fake := pgtest.NewFake(t, accept("correct"))
				g := newGuard(t, fake.Addr(), func(cfg *Config) {
					cfg.Upstream.Password, cfg.Upstream.Passfile = password, t.TempDir()+"/none"
				})
				got := greeting(t, g.addr, wire.Version30, "user", "postgres", "database", "postgres")
				if code(got[0]) != "E SFATAL VFATAL C28P01" || strings.Contains(got[0], "hunter2") {
					t.Errorf("got %q", got)
				}
			})
		}
	}
}

// TestLoginRefusedByPostgresIsToldAtOnce: whatever code PostgreSQL refuses a role or database with, the client reads it, and without
// a wait.
func TestLoginRefusedByPostgresIsToldAtOnce(t *testing.T) {
	for _, c := range []string{"28000", "3D000", "25001", "P0001", "42501", "55000", "57P04", "58P01", "22023"} {
		t.Run(c, func(t *testing.T) {
			fake := pgtest.NewFake(t, pgtest.Fatal(c, "not you"))
			g := newGuard(t, fake.Addr(), nil)
			got := greeting(t, g.addr, wire.Version30, "user", "postgres", "database", "postgres")
			if got[0] != "E SFATAL VFATAL C"+c+" Mnot you" {
				t.Errorf("got %q", got)
			}
		})
	}
}
