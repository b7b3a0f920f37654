package upstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// Handshake is one login to a server, over blocking reads with a deadline.
type Handshake struct {
	User, Password string
	Params         map[string]string           // of the start-up packet
	Heard          func(typ byte, body []byte) // is told of settings and notices; body is valid during the call
	Question       string                      // a query for the server once it has let us in; empty: none

	// after the login
	Conn   net.Conn
	PID    uint32 // of the server process
	Secret []byte // for cancel requests; nil: the server gave none
	Answer string // to Question: the first column of the first row; empty: none
	Rest   []byte // what the server said at once after the end of the login; during it, what is not yet taken

	version  uint32 // of the protocol, as asked for
	scram    *auth.SCRAM
	answered bool // the server has said something
	accepted bool // the server takes the version of the protocol
}

// run logs in over nc.
func (h *Handshake) run(nc net.Conn, version uint32) error {
	h.Conn, h.version = nc, version
	h.Rest, h.scram, h.answered, h.accepted, h.Answer = nil, nil, false, false, ""
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
		switch typ {
		case wire.Authentication:
			h.accepted = true
			err = h.authenticate(body)
		case wire.NegotiateVersion:
			h.accepted = true
			err = h.negotiated(body)
		case wire.BackendKeyData:
			err = h.key(body)
		case wire.ErrorResponse:
			err = ParseError(body)
		case wire.ReadyForQuery:
			if h.Question == "" {
				return nil
			}
			return h.ask()
		case wire.ParameterStatus, wire.NoticeResponse:
			h.Heard(typ, body)
		default:
			err = fmt.Errorf("unexpected message %q during login", typ)
		}
		if err != nil {
			return err
		}
	}
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
	return nil
}

// MaxSecret is the longest secret of a cancel key.
const MaxSecret = 256

// key keeps what a cancel request for this server must say.
func (h *Handshake) key(body []byte) error {
	if len(body) < 4+4 || len(body) > 4+MaxSecret {
		return errors.New("malformed BackendKeyData")
	}
	h.PID, h.Secret = binary.BigEndian.Uint32(body), append([]byte(nil), body[4:]...)
	return nil
}

// authenticate answers one authentication request.
func (h *Handshake) authenticate(body []byte) error {
	if len(body) < 4 {
		return errors.New("malformed authentication request")
	}
	data := body[4:]
	switch method := binary.BigEndian.Uint32(body); method {
	case pgproto3.AuthTypeOk:
		return nil
	case pgproto3.AuthTypeCleartextPassword:
		return h.answer(h.Password)
	case pgproto3.AuthTypeMD5Password:
		if len(data) < 4 {
			return errors.New("malformed md5 request")
		}
		return h.answer(auth.MD5(h.User, h.Password, [4]byte(data)))
	case pgproto3.AuthTypeSASL:
		return h.beginSASL(data)
	case pgproto3.AuthTypeSASLContinue:
		if h.scram == nil {
			return errors.New("SASL answer without a beginning")
		}
		answer, err := h.scram.Continue(data)
		if err != nil {
			return err
		}
		return h.say(&pgproto3.SASLResponse{Data: answer})
	case pgproto3.AuthTypeSASLFinal:
		if h.scram == nil {
			return errors.New("SASL answer without a beginning")
		}
		return h.scram.Finish(data)
	default:
		return fmt.Errorf("server asks for authentication method %d, which is not supported", method)
	}
}

func (h *Handshake) answer(password string) error {
	if h.Password == "" {
		return auth.ErrNoPassword
	}
	return h.say(&pgproto3.PasswordMessage{Password: password})
}

func (h *Handshake) beginSASL(mechanisms []byte) error {
	for {
		name, rest, ok := wire.CString(mechanisms)
		if !ok || len(name) == 0 {
			return errors.New("server offers no SASL mechanism that is supported (SCRAM-SHA-256)")
		}
		if string(name) == auth.Mechanism {
			break
		}
		mechanisms = rest
	}
	var first []byte
	var err error
	if h.scram, first, err = auth.NewSCRAM(h.Password); err != nil {
		return err
	}
	return h.say(&pgproto3.SASLInitialResponse{AuthMechanism: auth.Mechanism, Data: first})
}

// say sends one message.
func (h *Handshake) say(m pgproto3.FrontendMessage) error {
	p, err := m.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if _, err := h.Conn.Write(p); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// maxHandshake bounds one message of a login.
const maxHandshake = 64 << 10

// next returns the next message; body is valid until the next call.
func (h *Handshake) next() (typ byte, body []byte, err error) {
	for {
		typ, size, ok, err := wire.Peek(h.Rest)
		if err != nil || (ok && size > maxHandshake) {
			return 0, nil, errors.New("not a PostgreSQL server: message of absurd length")
		}
		if ok && size <= len(h.Rest) {
			body = h.Rest[wire.HeaderSize:size]
			h.Rest = h.Rest[size:]
			return typ, body, nil
		}
		more := make([]byte, 4096)
		n, err := h.Conn.Read(more)
		if err != nil {
			return 0, nil, fmt.Errorf("read: %w", err)
		}
		h.Rest = append(h.Rest[:len(h.Rest):len(h.Rest)], more[:n]...)
	}
}
