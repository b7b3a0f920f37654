package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Fault is what is wrong with a message of a client, in PostgreSQL's words. It holds nothing that the client keeps secret.
type Fault struct{ Code, Message, Detail string }

func (f *Fault) Error() string {
	if f.Detail == "" {
		return f.Message
	}
	return f.Message + ": " + f.Detail
}

func malformed(format string, args ...any) error {
	return &Fault{"08P01", "malformed SCRAM message", fmt.Sprintf(format, args...)}
}

// ErrWrong is why a client is not let in that does not know the password.
var ErrWrong = errors.New("wrong password")

// Verification is the server's side of one SCRAM-SHA-256 conversation: Begin, then Finish, each once. Of whom nobody knows, or who cannot be
// verified, it goes the same way to the end.
type Verification struct {
	hidden
	verifier Verifier
	doomed   bool   // whatever he proves
	tls      bool   // over TLS
	binding  []byte // tls-server-end-point; nil: there is none

	plus  bool
	gs2   string // the header of the client's first message
	bare  string // the rest of it
	nonce string // both parts
	asked string // the challenge
}

// Verify begins a conversation about a secret. doomed: the client will not be let in, and the verifier is made up. tls is true over TLS, and
// binding, if it is not nil, what a client can bind the conversation to.
func Verify(v Verifier, doomed, tls bool, binding []byte) *Verification {
	return &Verification{verifier: v, doomed: doomed, tls: tls, binding: binding}
}

// Mechanisms are those to offer, the best first.
func (c *Verification) Mechanisms() []string {
	if c.tls && c.binding != nil {
		return []string{MechanismPlus, Mechanism}
	}
	return []string{Mechanism}
}

// Begin reads the client's choice and first message, and returns the challenge. Errors are of type *Fault.
func (c *Verification) Begin(mechanism string, first []byte) ([]byte, error) {
	switch {
	case mechanism == Mechanism:
	case mechanism == MechanismPlus && c.tls && c.binding != nil:
		c.plus = true
	default:
		return nil, &Fault{Code: "08P01", Message: "client selected an invalid SASL authentication mechanism"}
	}
	if err := whole(first); err != nil {
		return nil, err
	}
	f := fields{rest: string(first)}
	if err := c.header(&f); err != nil {
		return nil, err
	}
	c.gs2, c.bare = string(first[:len(first)-len(f.rest)]), f.rest
	if strings.HasPrefix(f.rest, "m=") {
		return nil, &Fault{Code: "0A000", Message: "client requires an unsupported SCRAM extension"}
	}
	if _, err := f.value('n'); err != nil { // PostgreSQL takes the name of the start-up packet
		return nil, err
	}
	nonce, err := f.value('r')
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(nonce, func(r rune) bool { return r < '!' || r > '~' }) {
		return nil, &Fault{Code: "08P01", Message: "non-printable characters in SCRAM nonce"}
	}
	for !f.end() { // extensions, which are ignored
		if _, _, err := f.any(); err != nil {
			return nil, err
		}
	}
	var own [18]byte // as many as PostgreSQL takes
	_, _ = rand.Read(own[:])
	c.nonce = nonce + base64.StdEncoding.EncodeToString(own[:])
	c.asked = "r=" + c.nonce + ",s=" + base64.StdEncoding.EncodeToString(c.verifier.Salt) + ",i=" + strconv.Itoa(c.verifier.Iterations)
	return []byte(c.asked), nil
}

// header reads what a client says of channel binding, and of who it is.
func (c *Verification) header(f *fields) error {
	flag := f.next()
	switch {
	case flag == 'n' && c.plus, flag == 'y' && c.plus:
		return malformed("The client selected %s, but the SCRAM message does not include channel binding data.", MechanismPlus)
	case flag == 'y' && c.tls && c.binding != nil:
		return &Fault{"28000", "SCRAM channel binding negotiation error",
			"The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding."}
	case flag == 'n', flag == 'y':
	case flag == 'p' && !c.plus:
		return malformed("The client selected %s without channel binding, but the SCRAM message includes channel binding data.", Mechanism)
	case flag == 'p':
		kind, err := f.rests('=')
		if err != nil {
			return err
		}
		if kind != bindingType {
			return &Fault{Code: "08P01", Message: "unsupported SCRAM channel-binding type"}
		}
	default:
		return malformed("Unexpected channel-binding flag %q.", printed(flag))
	}
	if flag != 'p' && f.next() != ',' {
		return malformed("Comma expected, but found something else.")
	}
	switch who := f.next(); who {
	case ',':
		return nil
	case 'a':
		return &Fault{Code: "0A000", Message: "client uses authorization identity, but it is not supported"}
	default:
		return malformed("Unexpected attribute %q in client-first-message.", printed(who))
	}
}

// Finish reads the client's proof. If it is right, it returns the server's own, and the keys with which the guard can log in as the client.
// Errors are ErrWrong or of type *Fault.
func (c *Verification) Finish(final []byte) (last []byte, keys *Keys, err error) {
	if err := whole(final); err != nil {
		return nil, nil, err
	}
	f := fields{rest: string(final)}
	binding, err := f.value('c')
	if err != nil {
		return nil, nil, err
	}
	want := c.gs2
	if c.plus {
		want += string(c.binding)
	}
	if binding != base64.StdEncoding.EncodeToString([]byte(want)) {
		if c.plus {
			return nil, nil, &Fault{Code: "28000", Message: "SCRAM channel binding check failed"}
		}
		return nil, nil, &Fault{Code: "08P01", Message: "unexpected SCRAM channel-binding attribute in client-final-message"}
	}
	nonce, err := f.value('r')
	if err != nil {
		return nil, nil, err
	}
	proof, unproved, err := f.proof(string(final))
	if err != nil {
		return nil, nil, err
	}
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(c.nonce)) != 1 {
		return nil, nil, &Fault{"08P01", "invalid SCRAM response", "Nonce does not match."}
	}
	return c.judge(proof, c.bare+","+c.asked+","+unproved)
}

// judge checks a proof of the conversation said.
func (c *Verification) judge(proof [sha256.Size]byte, said string) ([]byte, *Keys, error) {
	kept := c.verifier.kept()
	signature := mac(kept.stored[:], said)
	k := &keys{verifier: c.verifier}
	subtle.XORBytes(k.client[:], proof[:], signature)
	stored := sha256.Sum256(k.client[:])
	right := subtle.ConstantTimeCompare(stored[:], kept.stored[:]) == 1
	own := mac(kept.server[:], said)
	if !right || c.doomed {
		return nil, nil, ErrWrong
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(own)), &Keys{p: func() *keys { return k }}, nil
}

// whole refuses what cannot be a message of SCRAM.
func whole(message []byte) error {
	switch {
	case len(message) == 0:
		return malformed("The message is empty.")
	case bytes.IndexByte(message, 0) >= 0:
		return malformed("Message length does not match input length.")
	}
	return nil
}

// fields reads attributes of SCRAM: a=value, separated by commas. Nothing is read past the end.
type fields struct {
	rest string
	over bool // the last attribute has been read
}

// next takes one byte, 0 at the end.
func (f *fields) next() byte {
	if f.rest == "" {
		return 0
	}
	b := f.rest[0]
	f.rest = f.rest[1:]
	return b
}

// end is true if there is nothing more.
func (f *fields) end() bool { return f.over || f.rest == "" }

// any takes the next attribute.
func (f *fields) any() (name byte, value string, err error) {
	if f.end() {
		return 0, "", malformed("Attribute expected, but found end of string.")
	}
	name = f.next()
	if name|0x20 < 'a' || name|0x20 > 'z' {
		return 0, "", malformed("Attribute expected, but found invalid character %q.", printed(name))
	}
	value, err = f.rests('=')
	return name, value, err
}

// value takes the next attribute, which must be of this name.
func (f *fields) value(want byte) (string, error) {
	name, value, err := f.any()
	if err == nil && name != want {
		return "", malformed("Expected attribute %q but found %q.", printed(want), printed(name))
	}
	return value, err
}

// rests takes a mark and what is behind it up to the next comma or the end.
func (f *fields) rests(mark byte) (string, error) {
	if f.next() != mark {
		return "", malformed("Expected character %q.", printed(mark))
	}
	value, rest, more := strings.Cut(f.rest, ",")
	f.rest, f.over = rest, !more
	return value, nil
}

// proof takes attributes up to the proof, which must be the last. unproved is what it is about.
func (f *fields) proof(message string) (proof [sha256.Size]byte, unproved string, err error) {
	for {
		before := len(message) - len(f.rest)
		name, value, err := f.any()
		if err != nil {
			return proof, "", err
		}
		if name != 'p' {
			continue
		}
		decoded, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil || len(decoded) != len(proof) || strings.ContainsAny(value, "\r\n") {
			return proof, "", malformed("Malformed proof in client-final-message.")
		}
		if !f.over {
			return proof, "", malformed("Garbage found at the end of client-final-message.")
		}
		return [sha256.Size]byte(decoded), message[:before-1], nil
	}
}

// printed is a byte of a stranger's as it may stand in an error.
func printed(b byte) string {
	if b > ' ' && b <= '~' {
		return string(rune(b))
	}
	return fmt.Sprintf("0x%02x", b)
}
