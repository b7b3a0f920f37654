package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func mustSecret(t testing.TB, text string) Secret {
	t.Helper()
	s, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scramText writes what PostgreSQL keeps of a password.
func scramText(password string, salt []byte, iterations int) string {
	v := Derive(password, salt, iterations)
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(v.kept().stored[:]), b64(v.kept().server[:]))
}

func TestSecretsPassTheirPasswordAlone(t *testing.T) {
	for name, s := range map[string]Secret{
		"plain": Plain("hunter2"),
		"md5":   mustSecret(t, digest("app", "hunter2")),
		"scram": mustSecret(t, scramText("hunter2", []byte("0123456789abcdef"), 4096)),
	} {
		if !s.Passes("app", "hunter2") {
			t.Errorf("%s: the password does not pass", name)
		}
		for _, wrong := range []string{"", "hunter", "hunter22", "Hunter2", digest("app", "hunter2")} {
			if s.Passes("app", wrong) {
				t.Errorf("%s: %q passes", name, wrong)
			}
		}
		salt := [4]byte{1, 2, 3, 4}
		if got, want := s.PassesMD5("app", MD5("app", "hunter2", salt), salt), name != "scram"; got != want {
			t.Errorf("%s: the right digest passes: %v", name, got)
		}
		if s.PassesMD5("app", MD5("app", "hunter2", salt), [4]byte{4, 3, 2, 1}) || s.PassesMD5("app", "", salt) {
			t.Errorf("%s: a wrong digest passes", name)
		}
	}
	var none Secret
	if none.Passes("app", "") || none.PassesMD5("app", MD5("app", "", [4]byte{}), [4]byte{}) || none.Known() || Plain("").Known() {
		t.Error("no secret passes")
	}
}

func TestSecretsThatAreNone(t *testing.T) {
	right := scramText("hunter2", []byte("0123456789abcdef"), 4096)
	for _, text := range []string{
		"SCRAM-SHA-256$", "SCRAM-SHA-256$4096", right[:len(right)-1], strings.Replace(right, "4096", "0", 1), strings.Replace(right, "4096", "-1", 1),
		strings.Replace(right, "4096", "99999999999999999999", 1), strings.Replace(right, "$4096:", "$4096$", 1), right + "x", strings.Replace(right, ":", ":!", 1),
	} {
		if _, err := ParseSecret(text); err == nil || strings.Contains(err.Error(), text[min(len(text), 15):]) && len(text) > 15 {
			t.Errorf("%q: got %v", text, err)
		}
	}
	for _, text := range []string{"md5", "md5" + strings.Repeat("g", 32), "md5" + strings.Repeat("A", 32), "md5" + strings.Repeat("a", 33), "SCRAM", "secret"} {
		if s := mustSecret(t, text); !s.IsPlain() {
			t.Errorf("%q is not taken as a password", text)
		}
	}
}

// TestNothingPrintsASecret: neither a verb of fmt nor an encoder, however deep it lies.
func TestNothingPrintsASecret(t *testing.T) {
	const password = "hunter2"
	v := Derive(password, []byte("salt"), 4096)
	keys, err := talk(t, Verify(v, false, false, nil), password)
	if err != nil {
		t.Fatal(err)
	}
	mock := NewMock()
	scramSecret := mustSecret(t, scramText(password, []byte("salt"), 4096))
	type deep struct {
		Shown  any
		hidden any
	}
	for name, x := range map[string]any{
		"plain": Plain(password), "md5": mustSecret(t, digest("app", password)), "scram": scramSecret,
		"verifier": v, "known password": KnowPassword(password), "known keys": KnowKeys(keys), "keys": keys, "mock": mock,
		"verification": Verify(v, false, false, nil), "fields": struct{ s Secret }{Plain(password)}, "field of keys": struct{ k Known }{KnowKeys(keys)},
	} {
		var out bytes.Buffer
		for _, y := range []any{x, &x, []any{x}, map[string]any{"a": x}, deep{x, x}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&out, verb+"\n", y)
			}
		}
		if j, err := json.Marshal(map[string]any{"a": x}); err == nil {
			out.Write(j)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "a", x)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "a", x)
		for _, secret := range []string{
			password, fmt.Sprintf("%x", password), digest("app", password)[3:], b64(v.kept().stored[:]), fmt.Sprintf("%d", v.kept().stored[:3])[1:8], fmt.Sprintf("%x", v.kept().stored),
			fmt.Sprintf("%x", keys.p().client[:]), strings.Trim(fmt.Sprintf("%d", keys.p().client[:4]), "[]"), strings.Trim(fmt.Sprintf("%d", v.kept().server[:4]), "[]"), string(mock.key()),
		} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s: %q is shown in\n%s", name, secret, out.String())
			}
		}
	}
}

func TestMockIsTheSameForANameAndDiffersBetweenThem(t *testing.T) {
	m, other := NewMock(), NewMock()
	a, again, b := m.Verifier("a", 0), m.Verifier("a", 0), m.Verifier("b", 0)
	if !a.equal(again) || a.equal(b) || string(a.Salt) == string(b.Salt) || string(a.Salt) == string(other.Salt("a")) || len(a.Salt) != 16 || a.Iterations != 4096 {
		t.Error("what is made up for a name is not its own")
	}
	if v, ok := m.VerifierOf("a", Plain("x")); !ok || string(v.Salt) != string(a.Salt) || v.Iterations != 4096 {
		t.Error("who has a password is asked for something else than if nobody knew him")
	}
	if v, _ := m.VerifierOf("a", Plain("y")); v.equal(Derive("x", m.Salt("a"), 4096)) {
		t.Error("a new password is not noticed")
	}
	if _, ok := m.VerifierOf("a", mustSecret(t, digest("a", "x"))); ok {
		t.Error("an md5 digest verifies SCRAM")
	}
}

func TestWhoIsWrongIsSlowedAndForgiven(t *testing.T) {
	var s Slow
	now := time.Unix(1000, 0)
	for range freeTries {
		s.Wrong("a", now)
	}
	if w := s.Wait("a", now); w != 0 {
		t.Errorf("after %d: %s", freeTries, w)
	}
	last := time.Duration(0)
	for range 20 {
		s.Wrong("a", now)
		if w := s.Wait("a", now); w < last || w > longest || w == 0 {
			t.Fatalf("%s after %s", w, last)
		} else {
			last = w
		}
	}
	if last != longest || s.Wait("b", now) != 0 {
		t.Errorf("a waits for %s, b for %s", last, s.Wait("b", now))
	}
	if w := s.Wait("a", now.Add(forgiven)); w != 0 {
		t.Errorf("a minute later: %s", w)
	}
	s.Right("a")
	if w := s.Wait("a", now); w != 0 {
		t.Errorf("who was right waits for %s", w)
	}
	for i := range 5 * maxSeen {
		s.Wrong(fmt.Sprint(i), now)
	}
	if len(s.seen) > maxSeen {
		t.Errorf("%d are remembered", len(s.seen))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m Memory
	for i := range maxRemembered + 100 {
		m.Learn(fmt.Sprint(i), KnowPassword("x"))
	}
	m.Learn("nothing", Known{})
	if len(m.users) != maxRemembered || m.Of(fmt.Sprint(maxRemembered+99)).Password() != "x" || !m.Of("nothing").Nothing() {
		t.Errorf("%d are remembered", len(m.users))
	}
}

// FuzzSecret reads any text in the place of a secret, as a database or a file may have it: it is one of the three forms, or an error that does not hold it.
func FuzzSecret(f *testing.F) {
	f.Add(scramText("hunter2", []byte("salt"), 4096))
	f.Add("md5" + strings.Repeat("a", 32))
	f.Add("SCRAM-SHA-256$4096:c2FsdA==$AAAA:AAAA")
	f.Add("SCRAM-SHA-256$-1:$:")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSecret(text)
		if err != nil {
			if !strings.HasPrefix(text, scramPrefix) || len(text) > len(scramPrefix)+8 && strings.Contains(err.Error(), text[len(scramPrefix):]) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if v, ok := NewMock().VerifierOf("app", s); s.IsSCRAM() && (!ok || v.Iterations < 1 || len(v.Salt) == 0) {
			t.Fatalf("%q can be proved to nobody", text)
		}
		if s.Known() != (text != "") || strings.Contains(fmt.Sprintf("%v %+v %#v %s", s, s, s, s), text) && len(text) > 3 {
			t.Fatalf("%q is shown", text)
		}
	})
}
