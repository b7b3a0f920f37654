package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// Error is an ErrorResponse of the server.
type Error struct {
	Code, Message string
	Body          []byte

	told bool // the server was told the password in clear text before
}

func (e *Error) Error() string { return fmt.Sprintf("%s (SQLSTATE %s)", e.Message, e.Code) }

// Demoted is the whole message with severity ERROR.
func (e *Error) Demoted() []byte {
	raw, err := wire.AppendDemoted(nil, e.Body, "")
	if err != nil {
		return nil
	}
	return raw
}

// ParseError reads the body of an ErrorResponse, which is copied.
func ParseError(body []byte) *Error {
	body = append([]byte(nil), body...)
	f, err := wire.ParseError(body)
	if err != nil {
		return &Error{Code: "08P01", Message: "malformed error message"}
	}
	return &Error{Code: string(f.Code), Message: string(f.Message), Body: body}
}

// errNoPassword is what a login ends with that the guard has no password for: the words of a password that is wrong, as
// far as the client is concerned.
var errNoPassword = fmt.Errorf("%w: %w", auth.ErrNoPassword, refusal("28P01", "guard: password authentication failed, none is configured for this user"))

// errStale is what a login ends with whose user has another password at the server than the last client that logged in as him.
var errStale = fmt.Errorf("%w: %w", auth.ErrStale, refusal("28P01", "guard: password authentication failed, it has changed since the last login of a client"))

// errKeysOnly is why a server cannot be told a password that a client has proved to know, but not told.
var errKeysOnly = errors.New("server asks for the password itself, or its md5 digest, and only keys for SCRAM are known")

// errNoDigest is what such a login ends with.
var errNoDigest = fmt.Errorf("%w: %w", errKeysOnly, refusal("28P01", "guard: password authentication failed, the server asks for more of it than a login by SCRAM tells"))

// refusal is an error in the server's place.
func refusal(code, message string) *Error {
	m, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: message}).Encode(nil)
	if err != nil {
		panic("upstream: message of ours cannot be encoded: " + err.Error())
	}
	return ParseError(m[wire.HeaderSize:])
}

// Classify tells the pool what a failed login means. What PostgreSQL says against a login is about its role or database, unless
// its code says that the server as a whole cannot serve now.
func Classify(err error) error {
	var se *Error
	if !errors.As(err, &se) {
		return err
	}
	switch {
	case se.raised():
		return &pool.RejectedError{Err: err}
	case se.Code == "53300" && se.hasAny("RInitializeSessionUserId\x00", "for role"):
		return &pool.KeyFullError{Err: err}
	case se.Code == "53300" && se.hasAny("RCheckMyDatabase\x00", "for database"):
		return &pool.KeyFullError{Err: err, Database: true}
	case se.Code == "53300":
		return &pool.TooManyError{Err: err}
	case OfServer(se.Code):
		return err
	}
	return &pool.RejectedError{Err: err}
}

// OfServer is true for the codes of a server that cannot serve anybody now: it starts or stops, lacks something, lost a
// connection of its own, or has a fault. 57P04 is of the database, which was dropped; 58P01 of a library that a role or database loads.
func OfServer(code string) bool {
	switch {
	case code == "57P04", code == "58P01":
		return false
	case len(code) != 5: // it cannot be told
		return true
	}
	switch code[:2] {
	case "08", "40", "53", "54", "57", "58", "XX":
		return true
	}
	return false
}

// raised is true if what the database runs at a login has raised it, an event trigger's function: only that has a context. It may have any code, and is of
// who logs in, not of the server.
func (e *Error) raised() bool { return bytes.Contains(e.Body, []byte("\x00W")) }

// ForPassword is true for a login that failed for want of the right password. A PostgreSQL that has somebody else look at it (PAM, LDAP, RADIUS), as clouds do with
// their tokens, has another code, and is told it in clear text.
func ForPassword(err error) bool {
	var se *Error
	return errors.As(err, &se) && (se.Code == "28P01" || se.Code == "28000" && se.told)
}

// ForStartup is true for a login that failed for what was asked for of the session, which PostgreSQL takes: it is PgBouncer, or one like it.
func ForStartup(err error) bool {
	var se *Error
	return errors.As(err, &se) && strings.HasPrefix(se.Message, "unsupported startup parameter")
}

// hasAny is true if the message has the field, or, where a server sends none, the words: those are translated, the names of the
// routines of PostgreSQL's source are not.
func (e *Error) hasAny(field, words string) bool {
	return bytes.Contains(e.Body, []byte("\x00"+field)) || strings.Contains(e.Message, words)
}
