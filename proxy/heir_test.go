package proxy

import (
	"context"
	"errors"
	"testing"

	"pgguard/proxy/sock"
)

// passage returns both ends of one.
func passage(t *testing.T) (old, young *sock.Passage) {
	t.Helper()
	old, f, err := sock.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if young, err = sock.FilePassage(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = old.Close(); _ = young.Close() })
	return old, young
}

// TestListenersAreTakenOnTrustByNobody: what comes in the place of a listener's socket ends the takeover, and not the process.
func TestListenersAreTakenOnTrustByNobody(t *testing.T) {
	for what, say := range map[string]func(p *sock.Passage) error{
		"a listener without a socket": func(p *sock.Passage) error { return pass(p, passListener, place{Network: "tcp", Addr: "127.0.0.1:1"}) },
		"a client before its time":    func(p *sock.Passage) error { return pass(p, passClient, arrival{}) },
		"a refusal without words":     func(p *sock.Passage) error { return p.Send(passNo, nil, nil) },
	} {
		old, young := passage(t)
		if err := errors.Join(say(old), old.Conn().CloseWrite()); err != nil {
			t.Fatal(err)
		}
		if in, err := Inherit(context.Background(), young, "test"); err == nil {
			t.Errorf("%s is taken: %+v", what, in)
		}
	}
}
