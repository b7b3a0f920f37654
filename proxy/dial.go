package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// applicationName is what a server's session is called in pg_stat_activity: it serves many clients.
const applicationName = "pgguard"

// serverError is an ErrorResponse of the server.
type serverError struct {
	code, message string
	body          []byte
}

func (e *serverError) Error() string { return fmt.Sprintf("%s (SQLSTATE %s)", e.message, e.code) }

// demoted is the whole message with severity ERROR.
func (e *serverError) demoted() []byte {
	raw, err := wire.AppendDemoted(nil, e.body, "")
	if err != nil {
		return nil
	}
	return raw
}

// parseServerError reads the body of an ErrorResponse, which is copied.
func parseServerError(body []byte) *serverError {
	body = append([]byte(nil), body...)
	f, err := wire.ParseError(body)
	if err != nil {
		return &serverError{code: "08P01", message: "malformed error message"}
	}
	return &serverError{string(f.Code), string(f.Message), body}
}

// logIn opens a socket and logs in as the key says. Errors are classified for the pool.
func (in *instance) logIn(ctx context.Context, s *pool.Server) (*backend, error) {
	ctx, stop := context.WithTimeout(ctx, in.up.ConnectTimeout)
	defer stop()
	nc, err := in.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	halt := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer halt()
	b := &backend{inst: in, server: s, settings: plain, unnamed: noStatement}
	b.params.Store(in.intern(&params{}))
	h := handshake{b: b, nc: nc, user: s.Key.User, password: in.password(s.Key)}
	if err := h.run(s.Key.Database, s.Key.Value.(*login).options); err != nil {
		_ = nc.Close()
		return nil, classify(err)
	}
	if !halt() {
		_ = nc.Close()
		return nil, ctx.Err()
	}
	_ = nc.SetDeadline(time.Time{})
	b.in = h.rest()
	if err := b.conn.init(nc, in.srv.cfg.WriteTimeout, &b.in, b.relay); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return b, nil
}

// password finds the password for a key: the one an upstream gives for its user, else the password file's.
func (in *instance) password(k *pool.Key) string {
	in.mu.Lock()
	secret := in.secrets[k.User]
	in.mu.Unlock()
	if secret != "" {
		return secret
	}
	return auth.FromPassfile(in.up.Passfile, in.up.Host, strconv.Itoa(in.up.Port), k.Database, k.User)
}

// classify tells the pool what a failed login means.
func classify(err error) error {
	var se *serverError
	if errors.Is(err, auth.ErrNoPassword) {
		return &pool.RejectedError{Err: err}
	}
	if !errors.As(err, &se) {
		return err
	}
	switch {
	case se.code == "53300":
		return &pool.TooManyError{Err: err}
	case strings.HasPrefix(se.code, "28"), strings.HasPrefix(se.code, "3D"), strings.HasPrefix(se.code, "22"),
		strings.HasPrefix(se.code, "42"), strings.HasPrefix(se.code, "0A"), se.code == "55000", se.code == "55P02":
		return &pool.RejectedError{Err: err}
	}
	return err
}

// handshake is one login to a server, over blocking reads with a deadline.
type handshake struct {
	b              *backend
	nc             net.Conn
	user, password string
	buf            []byte // read and not yet taken
	scram          *auth.SCRAM
}

func (h *handshake) run(database string, options []setting) error {
	start := pgproto3.StartupMessage{
		ProtocolVersion: wire.Version30,
		Parameters:      map[string]string{"user": h.user, "database": database, "application_name": applicationName},
	}
	for _, o := range options {
		start.Parameters[o.name] = o.value
	}
	if err := h.write(encode(nil, &start)); err != nil {
		return err
	}
	for {
		typ, body, err := h.next()
		if err != nil {
			return err
		}
		switch typ {
		case wire.Authentication:
			err = h.authenticate(body)
		case wire.ParameterStatus:
			h.b.note(body)
		case wire.BackendKeyData:
			if len(body) < 8 {
				return errors.New("malformed BackendKeyData")
			}
			h.b.pid, h.b.secret = binary.BigEndian.Uint32(body), append([]byte(nil), body[4:]...)
		case wire.ErrorResponse:
			err = parseServerError(body)
		case wire.ReadyForQuery:
			return nil
		case wire.NoticeResponse, wire.NegotiateVersion:
		default:
			err = fmt.Errorf("unexpected message %q during login", typ)
		}
		if err != nil {
			return err
		}
	}
}

// authenticate answers one authentication request.
func (h *handshake) authenticate(body []byte) error {
	if len(body) < 4 {
		return errors.New("malformed authentication request")
	}
	data := body[4:]
	switch method := binary.BigEndian.Uint32(body); method {
	case pgproto3.AuthTypeOk:
		return nil
	case pgproto3.AuthTypeCleartextPassword:
		return h.answer(h.password)
	case pgproto3.AuthTypeMD5Password:
		if len(data) < 4 {
			return errors.New("malformed md5 request")
		}
		return h.answer(auth.MD5(h.user, h.password, [4]byte(data)))
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
		return h.write(encode(nil, &pgproto3.SASLResponse{Data: answer}))
	case pgproto3.AuthTypeSASLFinal:
		if h.scram == nil {
			return errors.New("SASL answer without a beginning")
		}
		return h.scram.Finish(data)
	default:
		return fmt.Errorf("server asks for authentication method %d, which is not supported", method)
	}
}

func (h *handshake) answer(password string) error {
	if h.password == "" {
		return auth.ErrNoPassword
	}
	return h.write(encode(nil, &pgproto3.PasswordMessage{Password: password}))
}

func (h *handshake) beginSASL(mechanisms []byte) error {
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
	if h.scram, first, err = auth.NewSCRAM(h.password); err != nil {
		return err
	}
	return h.write(encode(nil, &pgproto3.SASLInitialResponse{AuthMechanism: auth.Mechanism, Data: first}))
}

func (h *handshake) write(p []byte) error {
	if _, err := h.nc.Write(p); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// maxHandshake bounds one message of a login.
const maxHandshake = 64 << 10

// next returns the next message; body is valid until the next call.
func (h *handshake) next() (typ byte, body []byte, err error) {
	for {
		typ, size, ok, err := wire.Peek(h.buf)
		if err != nil || (ok && size > maxHandshake) {
			return 0, nil, errors.New("not a PostgreSQL server: message of absurd length")
		}
		if ok && size <= len(h.buf) {
			body = h.buf[wire.HeaderSize:size]
			h.buf = h.buf[size:]
			return typ, body, nil
		}
		more := make([]byte, 4096)
		n, err := h.nc.Read(more)
		if err != nil {
			return 0, nil, fmt.Errorf("read: %w", err)
		}
		h.buf = append(h.buf[:len(h.buf):len(h.buf)], more[:n]...)
	}
}

// rest is what was read after the login's end: something the server said at once.
func (h *handshake) rest() *buffer {
	if len(h.buf) == 0 {
		return nil
	}
	b := getBuffer()
	b.w += copy(b.data[b.w:], h.buf)
	return b
}
