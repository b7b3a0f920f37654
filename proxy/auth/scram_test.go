package auth

import (
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// keeper returns a SCRAM server that knows one password.
func keeper(t *testing.T, password string) *scram.Server {
	t.Helper()
	c, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "0123456789abcdef", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	s, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// converse runs a whole login and returns the first error of the client's side, or of the server's.
func converse(t *testing.T, s *scram.Server, password string) (client, server error) {
	t.Helper()
	c, first, err := NewSCRAM(password, nil)
	if err != nil {
		return err, nil
	}
	conv := s.NewConversation()
	challenge, err := conv.Step(string(first))
	if err != nil {
		return nil, err
	}
	answer, err := c.Continue([]byte(challenge))
	if err != nil {
		return err, nil
	}
	final, err := conv.Step(string(answer))
	if err != nil {
		return nil, err
	}
	return c.Finish([]byte(final)), nil
}

func TestSCRAMAgreesWithAServer(t *testing.T) {
	for _, password := range []string{"secret", "pässwörd", "with space, = and ,", "\u0007unprintable", strings.Repeat("x", 1000)} {
		if client, server := converse(t, keeper(t, password), password); client != nil || server != nil {
			t.Errorf("%q: client %v, server %v", password, client, server)
		}
	}
}

func TestSCRAMWithTheWrongPasswordFails(t *testing.T) {
	client, server := converse(t, keeper(t, "right"), "wrong-hunter2")
	if server == nil {
		t.Error("the server took a wrong password")
	}
	if client != nil && strings.Contains(client.Error(), "hunter2") {
		t.Errorf("the error holds the password: %v", client)
	}
}

func TestSCRAMChecksThatTheServerKnowsThePassword(t *testing.T) {
	for name, final := range map[string]string{
		"made up": "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"nothing": "",
		"refused": "e=other-error",
	} {
		c, first, err := NewSCRAM("secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		challenge, err := keeper(t, "secret").NewConversation().Step(string(first))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Continue([]byte(challenge)); err != nil {
			t.Fatal(err)
		}
		if err := c.Finish([]byte(final)); err == nil {
			t.Errorf("%s: a server that does not know the password was believed", name)
		}
	}
}

func TestSCRAMRefusesAnothersNonce(t *testing.T) {
	c, _, err := NewSCRAM("secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Continue([]byte("r=mine,s=c2FsdA==,i=4096")); err == nil {
		t.Error("a challenge for another conversation was answered")
	}
}

func TestNoPasswordIsAClearError(t *testing.T) {
	if _, _, err := NewSCRAM("", nil); err == nil || !strings.Contains(err.Error(), "none is configured") {
		t.Errorf("got %v", err)
	}
}

// FuzzChallenge has a server say anything in its part of SCRAM: no answer comes of what is no challenge to this conversation, and only who knows the secret
// is believed.
func FuzzChallenge(f *testing.F) {
	f.Add("r=NONCEmore,s=c2FsdA==,i=1", "v=AAAA")
	f.Add("r=NONCE,s=c2FsdA==,i=1", "e=other-error")
	f.Add("m=x,r=NONCEa,s=c2FsdA==,i=4096,x=y", "v=,")
	f.Add("r=NONCEa,s=,i=-1", "")
	f.Fuzz(func(t *testing.T, challenge, final string) {
		if i := strings.Index(challenge, ",i="); i >= 0 && len(challenge) > i+6 {
			return // a thousand iterations and more, which are bounded elsewhere
		}
		s, first, err := NewSCRAM("secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, nonce, _ := strings.Cut(string(first), "r=")
		challenge = strings.ReplaceAll(challenge, "NONCE", nonce)
		answer, err := s.Continue([]byte(challenge))
		if (err == nil) != (len(answer) > 0) || err == nil && !strings.HasPrefix(challenge, "r="+nonce) {
			t.Fatalf("%q was answered with %q, %v", challenge, answer, err)
		}
		if err := s.Finish([]byte(final)); err == nil {
			t.Fatalf("%q was believed after %q", final, challenge)
		}
		if err == nil && s.Finish([]byte(s.final+",x=y")) != nil {
			t.Fatal("the right proof is not believed")
		}
	})
}
