//go:build pg

package proxy

import (
	"context"
	"strings"
	"testing"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// TestServerGivesTheLongestKey: a server that knows protocol 3.2 is asked for it, and its cancel key is kept whole.
func TestServerGivesTheLongestKey(t *testing.T) {
	want := 4
	if shared.Version() >= 18 {
		want = 32
	}
	g := narrow(t, 1, nil)
	p, _ := enter(t, g.addr)
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
	in := g.allInstances()[0]
	if v := in.Door().Version(); v != wire.Version32 {
		t.Errorf("the instance is asked for %x, want %x", v, wire.Version32)
	}
	n := 0
	in.Pool.Each(func(c pool.Conn) {
		n++
		if got := len(c.(*backend).secret); got != want {
			t.Errorf("a secret of %d bytes from PostgreSQL %d, want %d", got, shared.Version(), want)
		}
	})
	if n != 1 {
		t.Errorf("%d servers, want 1", n)
	}
}

// TestServerSecretsOfAnyLength: whatever secret a server gives, a cancel request carries it back.
func TestServerSecretsOfAnyLength(t *testing.T) {
	for _, size := range []int{4, 5, 32, upstream.MaxSecret} {
		secret := strings.Repeat("s", size-1) + "\x00"
		ctx, finish := context.WithCancel(context.Background())
		g, fake := fakeGuard(t)
		fake.Script(pgtest.Speak(wire.Version32, []byte(secret)), pgtest.AcceptLogin(nil), pgtest.Expect('Q', "select 1"),
			pgtest.Hang(ctx), pgtest.Send(selected, idleNow), pgtest.WaitEOF())
		client := g.call(t)
		_ = client.send(simple("select 1"))
		eventually(t, "running", func() bool { return g.Stats().Clients["active"] == 1 })
		if err := client.cancel(); err != nil {
			t.Error(err)
		}
		got := fake.Cancels()
		if len(got) != 1 || got[0].Secret != secret || got[0].PID != 7002 {
			t.Errorf("%d bytes: the server was sent %+v", size, got)
		}
		finish()
		if a, err := client.answer(); err != nil || a.status != 'I' {
			t.Errorf("%v %s", err, a)
		}
	}
}

// TestOldAndOddServersAreLoggedInTo: a server that does not know protocol 3.2 is spoken to in 3.0, whether it says so as
// PostgreSQL does, refuses or just closes; and it is asked for 3.2 only once.
func TestOldAndOddServersAreLoggedInTo(t *testing.T) {
	minor := wire.AppendNegotiate(nil, 0, nil)
	for name, c := range map[string]struct {
		steps []pgtest.Step
		tries int // connections of the first login
	}{
		"negotiates":      {nil, 1},
		"negotiates 3.1":  {[]pgtest.Step{pgtest.Speak(3<<16|1, make([]byte, 4))}, 1},
		"minor alone":     {[]pgtest.Step{pgtest.Speak(wire.Version32, make([]byte, 4)), pgtest.RefuseVersions(""), pgtest.SendBytes(minor)}, 1},
		"0A000":           {[]pgtest.Step{pgtest.RefuseVersions("0A000")}, 2},
		"08P01":           {[]pgtest.Step{pgtest.RefuseVersions("08P01")}, 2},
		"closes silently": {[]pgtest.Step{pgtest.RefuseVersions("")}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			g, fake := fakeGuard(t)
			fake.Script(append(append([]pgtest.Step(nil), c.steps...), pgtest.AcceptLogin(nil),
				pgtest.Expect('Q', "select 1"), pgtest.Send(selected, idleNow), pgtest.WaitEOF())...)
			for i, tries := range []int{c.tries, 1} {
				before := fake.Accepted()
				client := g.call(t)
				client.want(t, client.query, "select 1", "", 'I')
				if n := fake.Accepted() - before; n != tries {
					t.Errorf("login %d: %d connections, want %d", i, n, tries)
				}
				eventually(t, "server given back", func() bool { return g.pool().Servers["idle"] == 1 })
				g.allInstances()[0].Pool.Each(func(c pool.Conn) { c.Close("test") }) // the next client needs another
				eventually(t, "server closed", func() bool { return g.pool().Servers["idle"] == 0 })
			}
		})
	}
}

func TestNamesAreCleanedAsTheServerDoes(t *testing.T) {
	for version, want := range map[string]string{
		"9.6.24": "a?b", "15.18 (Debian 15.18-0+deb12u1)": "a?b", "": "a?b", "devel": "a?b",
		"16.0": `a\x09b`, "19beta1": `a\x09b`, "20": `a\x09b`,
	} {
		p, _ := (&instance.Params{}).With("server_version", version)
		if got := cleanName("a\tb", p); got != want {
			t.Errorf("%q: got %s, want %s", version, got, want)
		}
	}
}
