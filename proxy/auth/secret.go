package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"

	"github.com/xdg-go/stringprep"
)

// Secret is what is known of a user's password: the password itself, or what PostgreSQL keeps of it. Whatever prints one prints
// ***. The zero value is no secret: nobody can prove that he knows it. It is never changed, and any goroutine may use it.
type Secret struct{ p func() *secret } // a function, because fmt shows all of a field that it may not ask for its String

// box hides a secret.
func (s secret) box() Secret { return Secret{func() *secret { return &s }} }

// Same is true if s and o are one secret, written in one way. It is for configurations, not for proofs: how long it takes tells of both.
func (s Secret) Same(o Secret) bool {
	if s.p == nil || o.p == nil {
		return s.p == nil && o.p == nil
	}
	return reflect.DeepEqual(s.p(), o.p())
}

type secret struct {
	form     form
	text     string   // the password, or md5 with 32 digits
	verifier Verifier // of formSCRAM
}

// form is how a secret is written.
type form uint8

const (
	formPlain form = iota // the password
	formMD5
	formSCRAM
)

// hidden prints what it is embedded in as ***.
type hidden struct{}

const masked = "***"

// Format implements fmt.Formatter.
func (hidden) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(masked)) }

// MarshalText implements encoding.TextMarshaler.
func (hidden) MarshalText() ([]byte, error) { return []byte(masked), nil }

// MarshalYAML returns ***.
func (hidden) MarshalYAML() (any, error) { return masked, nil }

// LogValue implements slog.LogValuer.
func (hidden) LogValue() slog.Value { return slog.StringValue(masked) }

// String returns ***.
func (hidden) String() string { return masked }

// GoString returns ***.
func (hidden) GoString() string { return masked }

// Format implements fmt.Formatter: ***, whatever is asked for.
func (Secret) Format(s fmt.State, verb rune) { hidden{}.Format(s, verb) }

// MarshalText implements encoding.TextMarshaler: ***.
func (Secret) MarshalText() ([]byte, error) { return hidden{}.MarshalText() }

// LogValue implements slog.LogValuer: ***.
func (Secret) LogValue() slog.Value { return hidden{}.LogValue() }

// String returns ***.
func (Secret) String() string { return masked }

// GoString returns ***.
func (Secret) GoString() string { return masked }

// Plain is the secret of somebody whose password is known.
func Plain(password string) Secret {
	if password == "" {
		return Secret{}
	}
	return secret{form: formPlain, text: password}.box()
}

// scramPrefix begins the secrets that PostgreSQL keeps of passwords for SCRAM.
const scramPrefix = Mechanism + "$"

// ParseSecret reads a secret in one of the three forms that PostgreSQL and PgBouncer know: SCRAM-SHA-256$…, md5 with 32 digits, or the
// password itself. The error holds nothing of it.
func ParseSecret(text string) (Secret, error) {
	if isMD5(text) {
		return secret{form: formMD5, text: text}.box(), nil
	}
	if !strings.HasPrefix(text, scramPrefix) {
		return Plain(text), nil
	}
	v, err := parseVerifier(text[len(scramPrefix):])
	if err != nil {
		return Secret{}, err
	}
	return secret{form: formSCRAM, verifier: v}.box(), nil
}

// isMD5 is PostgreSQL's rule for what is an md5 digest, and no password.
func isMD5(text string) bool {
	return len(text) == 35 && strings.HasPrefix(text, "md5") && strings.Trim(text[3:], "0123456789abcdef") == ""
}

// Known is false for the zero value.
func (s Secret) Known() bool { return s.p != nil }

// IsMD5 is true for an md5 digest, with which nobody can be asked for SCRAM.
func (s Secret) IsMD5() bool { return s.p != nil && s.p().form == formMD5 }

// IsSCRAM is true for what PostgreSQL keeps for SCRAM, with which nobody can be asked for md5.
func (s Secret) IsSCRAM() bool { return s.p != nil && s.p().form == formSCRAM }

// IsPlain is true for a password.
func (s Secret) IsPlain() bool { return s.p != nil && s.p().form == formPlain }

// Equal is true for the same secret, or none in both.
func (s Secret) Equal(t Secret) bool {
	switch {
	case s.p == nil || t.p == nil:
		return s.p == nil && t.p == nil
	case s.p().form != t.p().form:
		return false
	case s.p().form == formSCRAM:
		return s.p().verifier.equal(t.p().verifier)
	}
	return subtle.ConstantTimeCompare([]byte(s.p().text), []byte(t.p().text)) == 1
}

// Passes is true if the password is the secret's. It takes as long for one that is wrong.
func (s Secret) Passes(user, password string) bool {
	if s.p == nil || password == "" {
		return false
	}
	switch s.p().form {
	case formMD5:
		return subtle.ConstantTimeCompare([]byte(digest(user, password)), []byte(s.p().text)) == 1
	case formSCRAM:
		v := s.p().verifier
		if v.Iterations > maxIterations {
			return false
		}
		got, want := Derive(password, v.Salt, v.Iterations).kept(), v.kept()
		return subtle.ConstantTimeCompare(got.stored[:], want.stored[:]) == 1
	}
	got, want := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(s.p().text)) // so that the length does not show
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// PassesMD5 is true if answer is the right one to AuthenticationMD5Password with this salt.
func (s Secret) PassesMD5(user, answer string, salt [4]byte) bool {
	if s.p == nil || s.p().form == formSCRAM {
		return false
	}
	inner := s.p().text
	if s.p().form == formPlain {
		inner = digest(user, s.p().text)
	}
	return subtle.ConstantTimeCompare([]byte(answer), []byte(salted(inner, salt))) == 1
}

// digest is what PostgreSQL keeps of a password for md5.
func digest(user, password string) string {
	sum := md5.Sum([]byte(password + user))
	return "md5" + hex.EncodeToString(sum[:])
}

// salted is the answer to AuthenticationMD5Password of who knows the digest.
func salted(digest string, salt [4]byte) string {
	sum := md5.Sum(append([]byte(strings.TrimPrefix(digest, "md5")), salt[:]...))
	return "md5" + hex.EncodeToString(sum[:])
}

// Verifier is what a server keeps of a password for SCRAM-SHA-256: enough to see that somebody knows it, too little to be him.
type Verifier struct {
	hidden
	Iterations int
	Salt       []byte
	kept       func() *kept
}

// kept are the keys of a Verifier.
type kept struct{ stored, server [sha256.Size]byte }

func (k kept) box() func() *kept { return func() *kept { return &k } }

// Derive computes what is kept of a password, which takes about 0.3 ms for 4,096 iterations.
func Derive(password string, salt []byte, iterations int) Verifier {
	client, server := derive(password, salt, iterations)
	return Verifier{Iterations: iterations, Salt: salt, kept: kept{sha256.Sum256(client[:]), server}.box()}
}

// derive returns the two keys of a password. PostgreSQL uses a password that SASLprep refuses as it is.
func derive(password string, salt []byte, iterations int) (client, server [sha256.Size]byte) {
	if prepared, err := stringprep.SASLprep.Prepare(password); err == nil && prepared != "" {
		password = prepared
	}
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		panic("auth: PBKDF2 with SHA-256 is refused: " + err.Error())
	}
	return [sha256.Size]byte(mac(key, "Client Key")), [sha256.Size]byte(mac(key, "Server Key"))
}

// mac is HMAC-SHA-256.
func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func (v Verifier) equal(w Verifier) bool {
	a, b := v.kept(), w.kept()
	return v.Iterations == w.Iterations && string(v.Salt) == string(w.Salt) &&
		subtle.ConstantTimeCompare(a.stored[:], b.stored[:])&subtle.ConstantTimeCompare(a.server[:], b.server[:]) == 1
}

// errVerifier says nothing of what was read.
var errVerifier = errors.New("a secret that begins with SCRAM-SHA-256$ is not of the form SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY")

// parseVerifier reads ITERATIONS:SALT$STOREDKEY:SERVERKEY.
func parseVerifier(text string) (v Verifier, err error) {
	how, keys, ok := strings.Cut(text, "$")
	count, salt, ok2 := strings.Cut(how, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	n, err := strconv.ParseInt(count, 10, 32)
	if !ok || !ok2 || !ok3 || err != nil || n < 1 {
		return Verifier{}, errVerifier
	}
	v.Iterations = int(n)
	if v.Salt, err = base64.StdEncoding.Strict().DecodeString(salt); err != nil || len(v.Salt) == 0 {
		return Verifier{}, errVerifier
	}
	var own kept
	for _, k := range []struct {
		to   *[sha256.Size]byte
		text string
	}{{&own.stored, stored}, {&own.server, server}} {
		key, err := base64.StdEncoding.Strict().DecodeString(k.text)
		if err != nil || len(key) != sha256.Size {
			return Verifier{}, errVerifier
		}
		*k.to = [sha256.Size]byte(key)
	}
	v.kept = own.box()
	return v, nil
}
