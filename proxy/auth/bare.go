package auth

import (
	"crypto/sha256"
	"errors"
)

// Bare is what is known of a user, unhidden, for another process of the guard that is to log in to servers as him. It must not be printed, logged or kept.
type Bare struct {
	Password, Digest             string
	Iterations                   int    // 0: there are no keys
	Salt, Stored, Server, Client []byte // of the keys
}

// errBare is why no user can have what is said of him.
var errBare = errors.New("what is known of a user is not understood")

// Bare returns what is known.
func (k Known) Bare() Bare {
	if k.p == nil {
		return Bare{}
	}
	is := k.p()
	b := Bare{Password: is.password, Digest: is.digest}
	if is.keys != nil {
		keys := is.keys.p()
		kept := keys.verifier.kept()
		b.Iterations, b.Salt = keys.verifier.Iterations, keys.verifier.Salt
		b.Stored, b.Server, b.Client = kept.stored[:], kept.server[:], keys.client[:]
	}
	return b
}

// Known hides it again.
func (b Bare) Known() (Known, error) {
	out := known{password: b.Password, digest: b.Digest}
	if b.Iterations != 0 {
		if b.Iterations < 0 || len(b.Stored) != sha256.Size || len(b.Server) != sha256.Size || len(b.Client) != sha256.Size {
			return Known{}, errBare
		}
		k := &keys{verifier: Verifier{Iterations: b.Iterations, Salt: b.Salt}, client: [sha256.Size]byte(b.Client)}
		k.verifier.kept = kept{[sha256.Size]byte(b.Stored), [sha256.Size]byte(b.Server)}.box()
		out.keys = &Keys{p: func() *keys { return k }}
	}
	if out == (known{}) {
		return Known{}, nil
	}
	return out.box(), nil
}

// All are the users of whom something is known.
func (m *Memory) All() map[string]Known {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]Known, len(m.users))
	for name, k := range m.users {
		all[name] = k
	}
	return all
}
