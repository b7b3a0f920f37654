package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// Mock makes up what is asked of users that nobody knows, so that they cannot be told from others: the same for a name as long as the
// process lives, and different for each. New makes one.
type Mock struct {
	hidden
	key func() []byte

	mu      sync.Mutex
	derived map[string]derived // guarded by mu: of users whose password is known
}

// derived is what was computed of a password.
type derived struct {
	of Secret
	v  Verifier
}

// NewMock returns a Mock of this process's own.
func NewMock() *Mock {
	key := []byte(rand.Text())
	return &Mock{key: func() []byte { return key }, derived: map[string]derived{}}
}

const (
	usualIterations = 4096 // of PostgreSQL's
	usualSalt       = 16   // bytes, of PostgreSQL's
)

// Salt is one for a user, as long as PostgreSQL's.
func (m *Mock) Salt(user string) []byte { return mac(m.key(), "salt\x00"+user)[:usualSalt] }

// Verifier is one for a user, which nothing proves. like is the number of iterations that others have; 0: PostgreSQL's.
func (m *Mock) Verifier(user string, like int) Verifier {
	if like == 0 {
		like = usualIterations
	}
	return Verifier{
		Iterations: like, Salt: m.Salt(user),
		kept: kept{[sha256.Size]byte(mac(m.key(), "stored\x00"+user)), [sha256.Size]byte(mac(m.key(), "server\x00"+user))}.box(),
	}
}

// VerifierOf is what a secret verifies SCRAM with, and false for one that cannot. For a password it is computed, once, with the salt that the
// user would have if nobody knew him.
func (m *Mock) VerifierOf(user string, s Secret) (Verifier, bool) {
	switch {
	case s.IsSCRAM():
		return s.p().verifier, true
	case s.IsPlain():
		return m.derive(user, s), true
	}
	return Verifier{}, false
}

func (m *Mock) derive(user string, s Secret) Verifier {
	m.mu.Lock()
	d, ok := m.derived[user]
	m.mu.Unlock()
	if ok && d.of.Equal(s) {
		return d.v
	}
	d = derived{s, Derive(s.p().text, m.Salt(user), usualIterations)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.derived) >= maxRemembered {
		m.derived = map[string]derived{}
	}
	m.derived[user] = d
	return d.v
}

// Iterations is the number that a secret for SCRAM has; 0: it is none.
func (s Secret) Iterations() int {
	if !s.IsSCRAM() {
		return 0
	}
	return s.p().verifier.Iterations
}
