package auth

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
)

// Keys are what a client's own SCRAM login tells of its password: enough to log in as it to a server that keeps the same secret. Whatever
// prints them prints ***.
type Keys struct {
	hidden
	p func() *keys
}

type keys struct {
	verifier Verifier
	client   [sha256.Size]byte
}

// fit is true for a server that asks for this salt and number.
func (k *Keys) fit(salt []byte, iterations int) bool {
	if k == nil {
		return false
	}
	v := k.p().verifier
	return v.Iterations == iterations && string(v.Salt) == string(salt)
}

// Known is what the guard has learned of a user from a login that was right, and with which it logs in to servers as him. Whatever prints
// one prints ***. The zero value is nothing.
type Known struct{ p func() *known }

// box hides what is known in a function, which fmt can look into in no way.
func (k known) box() Known { return Known{func() *known { return &k }} }

type known struct {
	password string
	digest   string // for md5
	keys     *Keys
}

// Format implements fmt.Formatter: ***, whatever is asked for.
func (Known) Format(s fmt.State, verb rune) { hidden{}.Format(s, verb) }

// MarshalText implements encoding.TextMarshaler: ***.
func (Known) MarshalText() ([]byte, error) { return hidden{}.MarshalText() }

// LogValue implements slog.LogValuer: ***.
func (Known) LogValue() slog.Value { return hidden{}.LogValue() }

// KnowPassword is what is known of who told his password.
func KnowPassword(password string) Known { return known{password: password}.box() }

// KnowKeys is what is known of who has proved by SCRAM that he knows his password.
func KnowKeys(k *Keys) Known { return known{keys: k}.box() }

// Know is what a secret itself tells: a password or a digest, or nothing.
func (s Secret) Know() Known {
	switch {
	case s.IsPlain():
		return KnowPassword(s.p().text)
	case s.IsMD5():
		return known{digest: s.p().text}.box()
	}
	return Known{}
}

// Nothing is true for the zero value.
func (k Known) Nothing() bool { return k.p == nil }

// Password is the password, "" if that is not known.
func (k Known) Password() string {
	if k.p == nil {
		return ""
	}
	return k.p().password
}

// Keys are nil where they are not known.
func (k Known) Keys() *Keys {
	if k.p == nil {
		return nil
	}
	return k.p().keys
}

// MD5 is the answer to AuthenticationMD5Password, "" if that is not known.
func (k Known) MD5(user string, salt [4]byte) string {
	switch {
	case k.p == nil:
		return ""
	case k.p().password != "":
		return MD5(user, k.p().password, salt)
	case k.p().digest != "":
		return salted(k.p().digest, salt)
	}
	return ""
}

// Memory is what is known of users, in memory alone, for at most maxRemembered of them. The zero value is empty. Any goroutine may use it.
type Memory struct {
	mu    sync.Mutex
	users map[string]Known // guarded by mu
}

// maxRemembered is more users than one PostgreSQL is given logins for; each takes about 300 bytes. Whom the guard has forgotten it
// knows again at his next login.
const maxRemembered = 10_000

// Learn notes what a login has told of a user.
func (m *Memory) Learn(user string, k Known) {
	if k.Nothing() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users == nil {
		m.users = map[string]Known{}
	}
	if _, ok := m.users[user]; !ok && len(m.users) >= maxRemembered {
		for other := range m.users {
			delete(m.users, other) // any
			break
		}
	}
	m.users[user] = k
}

// Of is what is known of a user.
func (m *Memory) Of(user string) Known {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.users[user]
}
