package upstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
	"unicode"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// Handshake is one login to a server, over blocking reads with a deadline. What a server announces is never allocated, only
// what it sends, and of that no more than maxLogin.
type Handshake struct {
	User, Password string
	Params         map[string]string // of the start-up packet
	Known          auth.Known        // of the user; LogIn fills in what its Door remembers. A password counts where there is none above
	Question       string            // for the server once it has let the guard in, a query; empty: none
	Chooses        bool              // it says where others go: it tries the hosts in their order, and takes only one that is what is asked for
	Patience       time.Duration     // for each address, if that is less than the connect_timeout; 0: it is not
	Heard          func(body []byte) // is told of notices, if it is not nil; body is valid during the call

	// after the login
	Conn     net.Conn
	At       At        // where the server is; during the login, where it is tried
	PID      uint32    // of the server process
	Secret   []byte    // for cancel requests; nil: the server gave none
	Reported []Setting // what the server reports, each once, in the order in which it came first
	Answer   string    // to Question: the first column of the first row; empty: none
	Rest     []byte    // what the server said at once after the end of the login; during it, what is not yet taken

	security Security
	kind     string // of server that is looked for
	cert     shown
	version  uint32 // of the protocol, as asked for
	least    uint32 // the version that the server must speak; 0: any
	phase    phase
	scram    *auth.SCRAM
	answered bool // the server has said something
	accepted bool // the server takes the version of the protocol
	clear    bool // the server was told the password as it is
	bound    bool // its proof is bound to the TLS connection
	asked    bool // it has asked who the guard is
	taken    int  // bytes read
}

// Setting is one that a server reports.
type Setting struct{ Name, Value string }

// phase is how far the authentication has come.
type phase uint8

const (
	phaseStart    phase = iota // nothing was asked
	phaseAnswered              // the server was told the password, or its digest
	phaseBegun                 // SCRAM: the server has the first message
	phaseProven                // SCRAM: the server has the proof, and owes its own
	phaseTrusted               // SCRAM: the server has proved that it knows the password
	phaseIn                    // the server has let the guard in
)

// run logs in over nc.
func (h *Handshake) run(nc net.Conn, version uint32) error {
	*h = Handshake{
		User: h.User, Password: h.Password, Params: h.Params, Known: h.Known, Question: h.Question, Heard: h.Heard,
		Chooses: h.Chooses, Patience: h.Patience, At: h.At, kind: h.kind,
		Conn: nc, security: h.security, cert: h.cert, version: version, least: h.least,
	}
	if h.Password == "" {
		h.Password = h.Known.Password()
	}
	start := pgproto3.StartupMessage{ProtocolVersion: version, Parameters: h.Params}
	if err := h.say(&start); err != nil {
		return err
	}
	for {
		typ, body, err := h.next()
		if err != nil {
			return err
		}
		h.answered = true
		if typ == wire.ReadyForQuery {
			if err := h.ready(body); err != nil || h.Question == "" {
				return err
			}
			return h.ask()
		}
		if err := h.take(typ, body); err != nil {
			return err
		}
	}
}

// take deals with one message ahead of the end.
func (h *Handshake) take(typ byte, body []byte) error {
	switch typ {
	case wire.Authentication:
		h.accepted = true
		return h.authenticate(body)
	case wire.NegotiateVersion:
		h.accepted = true
		return h.negotiated(body)
	case wire.BackendKeyData:
		return h.key(body)
	case wire.ErrorResponse:
		err := ParseError(h.masked(body))
		err.told = h.clear
		return err
	case wire.ParameterStatus:
		return h.reported(body)
	case wire.NoticeResponse:
		if h.Heard != nil {
			h.Heard(body)
		}
		return nil
	}
	return fmt.Errorf("unexpected message %q during login", typ)
}

// errTooSoon ends a login in which the server has asked for no password, nor said that it needs none.
var errTooSoon = errors.New("server goes on without having let the guard in")

// ready checks the end of a login.
func (h *Handshake) ready(body []byte) error {
	switch {
	case string(body) != string(wire.Idle):
		return errors.New("malformed ReadyForQuery")
	case h.phase != phaseIn:
		return errTooSoon
	}
	return nil
}

// maxReported is how many settings a server may report: several times what any does.
const maxReported = 256

// reported keeps a setting in the place of what was reported of it before.
func (h *Handshake) reported(body []byte) error {
	name, rest, ok := wire.CString(body)
	value, _, valued := wire.CString(rest)
	switch {
	case !ok || !valued:
		return errors.New("malformed ParameterStatus")
	case h.phase != phaseIn:
		return errTooSoon
	}
	for i := range h.Reported {
		if h.Reported[i].Name == string(name) {
			h.Reported[i].Value = string(value)
			return nil
		}
	}
	if len(h.Reported) >= maxReported {
		return fmt.Errorf("not a PostgreSQL server: it reports more than %d settings", maxReported)
	}
	h.Reported = append(h.Reported, Setting{string(name), string(value)})
	return nil
}

// masked is the body of an error without the password, in case that the server, which was told it as it is, repeats it.
func (h *Handshake) masked(body []byte) []byte {
	if !h.clear || h.Password == h.User || h.Password == h.Params["database"] {
		return body
	}
	return bytes.ReplaceAll(body, []byte(h.Password), []byte("***"))
}

// rejectsVersion is true if err says, or may say, that the server does not take the version that it was asked for. Where the
// version is known to be taken, a connection closed without a word has another cause.
func (h *Handshake) rejectsVersion(err error, known bool) bool {
	var se *Error
	switch {
	case err == nil || h.accepted:
		return false
	case errors.As(err, &se):
		return se.Code == "0A000" || se.Code == "08P01"
	}
	return !known && !h.answered && errors.Is(err, io.EOF)
}

// negotiated checks the version that the server speaks instead of the one asked for. All of them are served the same way:
// what differs is the length of cancel keys, which each message says itself.
func (h *Handshake) negotiated(body []byte) error {
	if len(body) < 8 {
		return errors.New("malformed NegotiateProtocolVersion")
	}
	version := binary.BigEndian.Uint32(body)
	if version < 1<<16 {
		version |= 3 << 16 // the minor version alone, as the documentation had it for long
	}
	if version>>16 != 3 || version > h.version {
		return fmt.Errorf("server wants protocol %d.%d, which was not asked for", version>>16, version&0xffff)
	}
	return h.spoken(version)
}

// MaxSecret is the longest secret of a cancel key.
const MaxSecret = 256

// key keeps what a cancel request for this server must say.
func (h *Handshake) key(body []byte) error {
	if len(body) < 4+4 || len(body) > 4+MaxSecret {
		return errors.New("malformed BackendKeyData")
	}
	if h.phase != phaseIn {
		return errTooSoon
	}
	h.PID, h.Secret = binary.BigEndian.Uint32(body), append([]byte(nil), body[4:]...)
	return nil
}

// authenticate answers one authentication request. Each has its place: a server cannot leave out its own proof, nor ask for a
// password in clear once it has failed to give one.
func (h *Handshake) authenticate(body []byte) error {
	if len(body) < 4 {
		return errors.New("malformed authentication request")
	}
	data := body[4:]
	switch method := binary.BigEndian.Uint32(body); method {
	case pgproto3.AuthTypeOk:
		if h.phase == phaseBegun || h.phase == phaseProven {
			return auth.ErrUnproven
		}
		if err := h.security.accepts("none", h); err != nil {
			return err
		}
		return h.move(phaseIn, phaseStart, phaseAnswered, phaseTrusted)
	case pgproto3.AuthTypeCleartextPassword:
		if err := h.move(phaseAnswered, phaseStart); err != nil {
			return err
		}
		if err := h.security.accepts("password", h); err != nil {
			return err
		}
		h.clear = true
		return h.tell(h.Password)
	case pgproto3.AuthTypeMD5Password:
		if len(data) != 4 {
			return errors.New("malformed md5 request")
		}
		if err := h.move(phaseAnswered, phaseStart); err != nil {
			return err
		}
		if err := h.security.accepts("md5", h); err != nil {
			return err
		}
		if h.Password == "" {
			return h.tell(h.Known.MD5(h.User, [4]byte(data)))
		}
		return h.tell(auth.MD5(h.User, h.Password, [4]byte(data)))
	case pgproto3.AuthTypeSASL:
		if err := h.move(phaseBegun, phaseStart); err != nil {
			return err
		}
		return h.beginSASL(data)
	case pgproto3.AuthTypeSASLContinue:
		if err := h.move(phaseProven, phaseBegun); err != nil {
			return err
		}
		answer, err := h.scram.Continue(data)
		if err != nil {
			return err
		}
		return h.say(&pgproto3.SASLResponse{Data: answer})
	case pgproto3.AuthTypeSASLFinal:
		if err := h.move(phaseTrusted, phaseProven); err != nil {
			return err
		}
		return h.scram.Finish(data)
	default:
		return fmt.Errorf("server asks for authentication method %d, which is not supported", method)
	}
}

// move goes on to another phase, if it may follow on this one.
func (h *Handshake) move(to phase, from ...phase) error {
	if !slices.Contains(from, h.phase) {
		return errors.New("authentication request out of its turn")
	}
	h.phase = to
	return nil
}

// tell sends a password, or its digest; "" if it is not known.
func (h *Handshake) tell(password string) error {
	if password == "" && h.Known.Keys() != nil {
		return errKeysOnly
	}
	if password == "" {
		return auth.ErrNoPassword
	}
	return h.say(&pgproto3.PasswordMessage{Password: password})
}

func (h *Handshake) beginSASL(mechanisms []byte) error {
	var scram, plus bool
	for {
		name, rest, ok := wire.CString(mechanisms)
		if !ok || len(name) == 0 {
			break
		}
		scram = scram || string(name) == auth.Mechanism
		plus = plus || string(name) == auth.MechanismPlus
		mechanisms = rest
	}
	state, over := h.state()
	over = over && h.security.Binding != "disable"
	plus = plus && over
	if !scram && !plus {
		return errors.New("server offers no SASL mechanism that is supported (SCRAM-SHA-256)")
	}
	h.bound = plus
	if err := h.security.accepts("scram-sha-256", h); err != nil {
		return err
	}
	var first []byte
	var err error
	mechanism := auth.Mechanism
	if plus {
		mechanism = auth.MechanismPlus
	}
	if over {
		h.scram, first, err = auth.NewSCRAMOver(h.Password, h.Known.Keys(), state, plus)
	} else {
		h.scram, first, err = auth.NewSCRAM(h.Password, h.Known.Keys())
	}
	if err != nil {
		return err
	}
	return h.say(&pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: first})
}

// say sends one message.
func (h *Handshake) say(m pgproto3.FrontendMessage) error {
	p, err := m.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if _, err := h.Conn.Write(p); err != nil {
		if refused := h.refused(); refused != nil {
			return refused
		}
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// refused is the alert with which the server has closed a connection that cannot be written to any more, nil if there is none: under TLS 1.3 a certificate
// that it does not take is refused after the client's part of the handshake.
func (h *Handshake) refused() error {
	var alert *net.OpError
	if _, _, err := h.next(); errors.As(err, &alert) && alert.Op == "remote error" {
		return err
	}
	return nil
}

const (
	maxHandshake = 64 << 10 // bytes of one message of a login
	maxLogin     = 1 << 20  // bytes of all; PostgreSQL sends a thousandth of it
	readRoom     = 4 << 10  // bytes read at once, at most until a message is longer
)

// absurd is what is wrong with a message that is too long. A server that cannot start a process for the connection says so at once, in the words
// of a protocol that is long gone, without a length.
func (h *Handshake) absurd() error {
	why, _, _ := bytes.Cut(h.Rest[1:], []byte{0})
	why = bytes.TrimSpace(why[:min(len(why), longestSaid)])
	strange := func(r rune) bool { return !unicode.IsPrint(r) }
	if !h.answered && h.Rest[0] == wire.ErrorResponse && len(why) >= wire.HeaderSize && !bytes.ContainsFunc(why, strange) {
		return fmt.Errorf("server says %q", why)
	}
	return errors.New("not a PostgreSQL server: message of absurd length")
}

// longestSaid bounds what is repeated of that.
const longestSaid = 200

// next returns the next message; body is valid until the next call.
func (h *Handshake) next() (typ byte, body []byte, err error) {
	for {
		typ, size, ok, err := wire.Peek(h.Rest)
		if err != nil || (ok && size > maxHandshake) {
			return 0, nil, h.absurd()
		}
		if ok && size <= len(h.Rest) {
			body = h.Rest[wire.HeaderSize:size]
			h.Rest = h.Rest[size:]
			return typ, body, nil
		}
		if h.taken >= maxLogin {
			return 0, nil, fmt.Errorf("not a PostgreSQL server: its login does not end within %d bytes", maxLogin)
		}
		held := len(h.Rest)
		if cap(h.Rest)-held < readRoom/8 {
			h.Rest = append(make([]byte, 0, max(readRoom, 2*held)), h.Rest...)
		}
		n, err := h.Conn.Read(h.Rest[held:cap(h.Rest)])
		if err != nil {
			return 0, nil, fmt.Errorf("read: %w", err)
		}
		h.Rest, h.taken = h.Rest[:held+n], h.taken+n
	}
}
