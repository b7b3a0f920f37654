package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Mechanism is SCRAM without channel binding, which needs TLS.
const Mechanism = "SCRAM-SHA-256"

// SCRAM is the client's side of one SCRAM-SHA-256 conversation: Continue, then Finish, each once. It proves that it knows a password, or that
// it has the keys of one, which are used where they fit what the server asks for.
type SCRAM struct {
	hidden
	password string
	keys     *Keys
	gs2      string // the header of the first message, which says what is bound
	binding  []byte // what the proof is bound to; nil: nothing
	bare     string // the rest of the first message
	nonce    string // the guard's own part
	final    string // what the server must prove; empty: not yet
}

// NewSCRAM begins a conversation and returns the first message to the server. The password may be empty if there are keys, which may be nil.
func NewSCRAM(password string, keys *Keys) (*SCRAM, []byte, error) {
	return begin(password, keys, "n,,", nil)
}

// begin is NewSCRAM with this header and what it binds the proof to.
func begin(password string, keys *Keys, gs2 string, binding []byte) (*SCRAM, []byte, error) {
	if password == "" && keys == nil {
		return nil, nil, ErrNoPassword
	}
	nonce := base64.StdEncoding.EncodeToString([]byte(rand.Text())[:18]) // as long as libpq's
	// PostgreSQL takes the user from the start-up packet and ignores the name given here.
	s := &SCRAM{password: password, keys: keys, gs2: gs2, binding: binding, bare: "n=,r=" + nonce, nonce: nonce}
	return s, []byte(s.gs2 + s.bare), nil
}

// ErrUnproven is why a server is not believed to be the one that knows the password.
var ErrUnproven = errors.New("server did not prove that it knows the password")

// ErrStale is why a login cannot go on with what a client's login told of its password: the server keeps another secret.
var ErrStale = errors.New("server keeps another secret than the one that was learned")

// maxIterations bounds what a server may have the guard compute: a third of a second. PostgreSQL's default is 4,096, and
// who recommends numbers recommends less than a million.
const maxIterations = 1_000_000

// Continue answers the server's challenge.
func (s *SCRAM) Continue(challenge []byte) ([]byte, error) {
	nonce, salt, iterations, err := s.read(string(challenge))
	if err != nil {
		return nil, fmt.Errorf("continue SCRAM: %w", err)
	}
	var client, server, stored [sha256.Size]byte
	switch {
	case s.keys.fit(salt, iterations):
		kept := s.keys.p().verifier
		client, server = s.keys.p().client, kept.kept().server
	case s.password == "":
		return nil, fmt.Errorf("continue SCRAM: %w", ErrStale)
	default:
		client, server = derive(s.password, salt, iterations)
	}
	stored = sha256.Sum256(client[:])
	answer := "c=" + base64.StdEncoding.EncodeToString(append([]byte(s.gs2), s.binding...)) + ",r=" + nonce
	said := s.bare + "," + string(challenge) + "," + answer
	proof := mac(stored[:], said)
	subtle.XORBytes(proof, proof, client[:])
	s.final = "v=" + base64.StdEncoding.EncodeToString(mac(server[:], said))
	return []byte(answer + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// read reads a challenge.
func (s *SCRAM) read(challenge string) (nonce string, salt []byte, iterations int, err error) {
	f := fields{rest: challenge}
	if nonce, err = f.value('r'); err != nil {
		return "", nil, 0, err
	}
	if len(nonce) <= len(s.nonce) || !strings.HasPrefix(nonce, s.nonce) {
		return "", nil, 0, errors.New("server answers another conversation")
	}
	text, err := f.value('s')
	if err != nil {
		return "", nil, 0, err
	}
	if salt, err = base64.StdEncoding.DecodeString(text); err != nil || len(salt) == 0 {
		return "", nil, 0, errors.New("server gives no salt")
	}
	count, err := f.value('i')
	if err != nil {
		return "", nil, 0, err
	}
	iterations, err = strconv.Atoi(count)
	if err != nil || iterations < 1 || iterations > maxIterations {
		return "", nil, 0, fmt.Errorf("server asks for a number of iterations that is not from 1 to %d", maxIterations)
	}
	return nonce, salt, iterations, nil
}

// Finish checks that the server knows the password, too.
func (s *SCRAM) Finish(final []byte) error {
	proof, _, _ := strings.Cut(string(final), ",") // extensions behind it mean nothing
	if s.final == "" || subtle.ConstantTimeCompare([]byte(proof), []byte(s.final)) != 1 {
		return fmt.Errorf("finish SCRAM: %w", ErrUnproven)
	}
	return nil
}
