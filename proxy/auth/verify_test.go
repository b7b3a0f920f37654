package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// talk runs a whole conversation between a client of another library and a Verification.
func talk(t *testing.T, v *Verification, password string) (*Keys, error) {
	t.Helper()
	c, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	conv := c.NewConversation()
	first, err := conv.Step("")
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := v.Begin(Mechanism, []byte(first))
	if err != nil {
		return nil, err
	}
	final, err := conv.Step(string(challenge))
	if err != nil {
		t.Fatal(err)
	}
	last, keys, err := v.Finish([]byte(final))
	if err != nil {
		return nil, err
	}
	if _, err := conv.Step(string(last)); err != nil || !conv.Valid() {
		t.Errorf("the client does not believe the server: %v", err)
	}
	return keys, nil
}

func TestVerificationLetsInWhoKnowsThePassword(t *testing.T) {
	for _, password := range []string{"secret", "with space, = and ,", "\u0007unprintable", strings.Repeat("x", 1000)} {
		for _, iterations := range []int{4096, 10_000} {
			v := Derive(password, []byte("0123456789abcdef"), iterations)
			if _, err := talk(t, Verify(v, false, false, nil), password); err != nil {
				t.Errorf("%q, %d iterations: %v", password, iterations, err)
			}
			if _, err := talk(t, Verify(v, false, false, nil), password+"x"); !errors.Is(err, ErrWrong) {
				t.Errorf("%q, %d iterations: a wrong password gives %v", password, iterations, err)
			}
			if _, err := talk(t, Verify(v, true, false, nil), password); !errors.Is(err, ErrWrong) {
				t.Errorf("%q, %d iterations: who is not to be let in gets %v", password, iterations, err)
			}
		}
	}
}

// TestKeysOfALoginLogIn: what a client's login tells is enough to log in to a server that keeps the same secret, and to none that keeps another.
func TestKeysOfALoginLogIn(t *testing.T) {
	for _, iterations := range []int{1, 4096, 7777} {
		v := Derive("secret", []byte("a salt of any length at all"), iterations)
		keys := keysOf(t, v, "secret")
		login := func(at Verifier) error {
			c, first, err := NewSCRAM("", keys)
			if err != nil {
				t.Fatal(err)
			}
			server := Verify(at, false, false, nil)
			challenge, err := server.Begin(Mechanism, first)
			if err != nil {
				t.Fatal(err)
			}
			final, err := c.Continue(challenge)
			if err != nil {
				return err
			}
			last, _, err := server.Finish(final)
			if err != nil {
				return err
			}
			return c.Finish(last)
		}
		if err := login(v); err != nil {
			t.Errorf("%d iterations: %v", iterations, err)
		}
		if err := login(Derive("secret", []byte("another salt"), iterations)); !errors.Is(err, ErrStale) {
			t.Errorf("another salt: %v", err)
		}
		if err := login(Derive("secret", v.Salt, iterations+1)); !errors.Is(err, ErrStale) {
			t.Errorf("another number of iterations: %v", err)
		}
		if err := login(Derive("other", v.Salt, iterations)); !errors.Is(err, ErrWrong) {
			t.Errorf("another password with the same salt: %v", err)
		}
	}
}

// keysOf are the keys that a login tells.
func keysOf(t *testing.T, v Verifier, password string) *Keys {
	t.Helper()
	c, first, err := NewSCRAM(password, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := Verify(v, false, false, nil)
	challenge, err := server.Begin(Mechanism, first)
	if err != nil {
		t.Fatal(err)
	}
	final, err := c.Continue(challenge)
	if err != nil {
		t.Fatal(err)
	}
	last, keys, err := server.Finish(final)
	if err == nil {
		err = c.Finish(last)
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestKeysDoNotBelieveAServerWithoutProof: a server that does not know the secret is not believed.
func TestKeysDoNotBelieveAServerWithoutProof(t *testing.T) {
	v := Derive("secret", []byte("salt"), 4096)
	keys, err := talk(t, Verify(v, false, false, nil), "secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, final := range []string{"", "v=", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "e=other-error"} {
		c, first, err := NewSCRAM("", keys)
		if err != nil {
			t.Fatal(err)
		}
		challenge, err := Verify(v, false, false, nil).Begin(Mechanism, first)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Continue(challenge); err != nil {
			t.Fatal(err)
		}
		if err := c.Finish([]byte(final)); !errors.Is(err, ErrUnproven) {
			t.Errorf("%q: %v", final, err)
		}
	}
	for _, challenge := range []string{"", "r=mine,s=c2FsdA==,i=4096", "r=", "s=c2FsdA==", "r=x,s=!,i=4096", "r=x,s=c2FsdA==,i=-1"} {
		c, _, err := NewSCRAM("", keys)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := c.Continue([]byte(challenge)); err == nil {
			t.Errorf("challenge %q was answered with %q", challenge, answer)
		}
	}
}

// TestChannelBinding: bound to the connection it is spoken over, a login passes over no other; nobody can take the binding away.
func TestChannelBinding(t *testing.T) {
	v := Derive("secret", []byte("salt"), 4096)
	c, err := scram.SHA256.NewClient("", "secret", "")
	if err != nil {
		t.Fatal(err)
	}
	login := func(mechanism string, mine, theirs []byte, advertised bool) error {
		conv := c.NewConversation()
		switch {
		case mechanism == MechanismPlus:
			conv = c.NewConversationWithChannelBinding(scram.ChannelBinding{Type: scram.ChannelBindingTLSServerEndpoint, Data: theirs})
		case advertised:
			conv = c.NewConversationAdvertisingChannelBinding()
		}
		first, err := conv.Step("")
		if err != nil {
			t.Fatal(err)
		}
		server := Verify(v, false, mine != nil, mine)
		challenge, err := server.Begin(mechanism, []byte(first))
		if err != nil {
			return err
		}
		final, err := conv.Step(string(challenge))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = server.Finish([]byte(final))
		return err
	}
	here, there := []byte("this certificate"), []byte("that certificate")
	if err := login(MechanismPlus, here, here, false); err != nil {
		t.Errorf("bound: %v", err)
	}
	if err := login(MechanismPlus, here, there, false); err == nil {
		t.Error("a login that is bound to another connection passes")
	}
	if err := login(Mechanism, here, nil, false); err != nil {
		t.Errorf("a client that knows no binding: %v", err)
	}
	if err := login(Mechanism, here, nil, true); err == nil {
		t.Error("a client from which the offer was hidden passes")
	}
	if err := login(MechanismPlus, nil, here, false); err == nil {
		t.Error("bound without TLS")
	}
	if got := Verify(v, false, false, here).Mechanisms(); len(got) != 1 {
		t.Errorf("offered without TLS: %q", got)
	}
	if got := Verify(v, false, true, here).Mechanisms(); len(got) != 2 || got[0] != MechanismPlus {
		t.Errorf("offered with TLS: %q", got)
	}
}

// malformations are first messages of SCRAM that are none, with the code that PostgreSQL answers.
var malformations = map[string]string{
	"":                                 "08P01",
	"n":                                "08P01",
	"n,":                               "08P01",
	"n,,":                              "08P01",
	"n,,n=":                            "08P01",
	"n,,n=,":                           "08P01",
	"n,,n=,r":                          "08P01",
	"n,,n=,x=":                         "08P01",
	"n,,r=abc":                         "08P01",
	"n,,n=,r=a b":                      "08P01",
	"n,,n=,r=\x7f":                     "08P01",
	"n,,n=,r=\u00fc":                   "08P01",
	"n,,n=,r=abc\x00":                  "08P01",
	"\x00":                             "08P01",
	"n,,n=,r=abc,":                     "",
	"n,,n=,r=abc,x=y":                  "",
	"n,,n=,r=abc,=y":                   "08P01",
	"n,,n=,r=abc,x":                    "08P01",
	"n,,m=1,n=,r=abc":                  "0A000",
	"n,a=other,n=,r=abc":               "0A000",
	"n,x=,n=,r=abc":                    "08P01",
	"y,,n=,r=abc":                      "",
	"x,,n=,r=abc":                      "08P01",
	"p=tls-unique,,n=,r=abc":           "08P01",
	"p=tls-server-end-point,,n=,r=x":   "08P01",
	"p,,n=,r=abc":                      "08P01",
	"nn,,n=,r=abc":                     "08P01",
	",,n=,r=abc":                       "08P01",
	"n,,n=user,r=":                     "",
	"n,,n=user,r=" + rand64():          "",
	"n,,N=user,r=abc":                  "08P01",
	"n,,n=user;r=abc":                  "08P01",
	"n,,n=" + strings.Repeat("x", 900): "08P01",
}

func rand64() string { return strings.ToLower(rand.Text()) + rand.Text() + rand.Text() }

func TestMalformedFirstMessages(t *testing.T) {
	for message, want := range malformations {
		v := Verify(Derive("secret", []byte("salt"), 1), false, false, nil)
		_, err := v.Begin(Mechanism, []byte(message))
		var f *Fault
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", message, err)
		case want != "" && (!errors.As(err, &f) || f.Code != want):
			t.Errorf("%q: got %v, want %s", message, err, want)
		}
	}
	for _, mechanism := range []string{"", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256", strings.Repeat("S", 2000)} {
		if _, err := Verify(Verifier{}, false, false, nil).Begin(mechanism, []byte("n,,n=,r=abc")); err == nil {
			t.Errorf("mechanism %q is accepted", mechanism)
		}
	}
}

func TestMalformedLastMessages(t *testing.T) {
	proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for message, want := range map[string]string{
		"":                                  "08P01",
		"\x00":                              "08P01",
		"c":                                 "08P01",
		"c=":                                "08P01",
		"c=biws":                            "08P01",
		"c=biws,r=":                         "08P01",
		"c=biws,r=NONCE":                    "08P01",
		"c=biws,r=NONCE,p=":                 "08P01",
		"c=biws,r=NONCE,p=AAAA":             "08P01",
		"c=biws,r=NONCE,p=!" + proof[1:]:    "08P01",
		"c=biws,r=NONCE,p=" + proof + "=":   "08P01",
		"c=biws,r=NONCE,p=" + proof + ",":   "08P01",
		"c=biws,r=NONCE,p=" + proof + ",x=": "08P01",
		"c=biws,r=NONCE,x=y,p=" + proof:     "wrong",
		"c=biws,r=NONCE,p=" + proof:         "wrong",
		"c=biws,r=NONCEx,p=" + proof:        "08P01",
		"c=biws,r=,p=" + proof:              "08P01",
		"c=eSws,r=NONCE,p=" + proof:         "08P01",
		"r=NONCE,c=biws,p=" + proof:         "08P01",
		"p=" + proof:                        "08P01",
		"c=biws,r=NONCE,p=" + strings.Repeat("A", 100_000): "08P01",
	} {
		v := Verify(Derive("secret", []byte("salt"), 1), false, false, nil)
		if _, err := v.Begin(Mechanism, []byte("n,,n=,r=abc")); err != nil {
			t.Fatal(err)
		}
		_, _, err := v.Finish([]byte(strings.ReplaceAll(message, "NONCE", v.nonce)))
		var f *Fault
		switch {
		case want == "wrong" && !errors.Is(err, ErrWrong):
			t.Errorf("%.60q: got %v, want a wrong proof", message, err)
		case want != "wrong" && (!errors.As(err, &f) || f.Code != want):
			t.Errorf("%.60q: got %v, want %s", message, err, want)
		}
	}
}

// FuzzVerification: whatever a stranger sends, the answer is a challenge, a fault or a wrong proof.
func FuzzVerification(f *testing.F) {
	for first := range malformations {
		f.Add(Mechanism, []byte(first), []byte("c=biws,r=NONCE,p=AAAA"), false)
	}
	f.Add(MechanismPlus, []byte("p=tls-server-end-point,,n=,r=abc"), []byte("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsYmluZGluZw==,r=NONCE,p=AAAA"), true)
	secret := Derive("secret", []byte("salt"), 1)
	f.Fuzz(func(t *testing.T, mechanism string, first, final []byte, tls bool) {
		var binding []byte
		if tls {
			binding = []byte("binding")
		}
		v := Verify(secret, false, tls, binding)
		challenge, err := v.Begin(mechanism, first)
		var fault *Fault
		if err != nil {
			if !errors.As(err, &fault) || len(fault.Code) != 5 {
				t.Fatalf("%v is no fault", err)
			}
			return
		}
		if len(challenge) > len(first)+200 {
			t.Fatalf("a challenge of %d bytes", len(challenge))
		}
		_, _, err = v.Finish([]byte(strings.ReplaceAll(string(final), "NONCE", v.nonce)))
		if !errors.Is(err, ErrWrong) && !errors.As(err, &fault) {
			t.Fatalf("a proof that was made up ends with %v", err)
		}
	})
}
