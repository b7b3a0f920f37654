package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// Error is an ErrorResponse of the server.
type Error struct {
	Code, Message string
	Body          []byte
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
	return &Error{string(f.Code), string(f.Message), body}
}

// Classify tells the pool what a failed login means.
func Classify(err error) error {
	var se *Error
	if errors.Is(err, auth.ErrNoPassword) {
		return &pool.RejectedError{Err: err}
	}
	if !errors.As(err, &se) {
		return err
	}
	switch {
	case se.Code == "53300" && se.hasAny("RInitializeSessionUserId\x00", "for role"):
		return &pool.KeyFullError{Err: err}
	case se.Code == "53300" && se.hasAny("RCheckMyDatabase\x00", "for database"):
		return &pool.KeyFullError{Err: err, Database: true}
	case se.Code == "53300":
		return &pool.TooManyError{Err: err}
	case strings.HasPrefix(se.Code, "28"), strings.HasPrefix(se.Code, "3D"), strings.HasPrefix(se.Code, "22"),
		strings.HasPrefix(se.Code, "42"), strings.HasPrefix(se.Code, "0A"), se.Code == "55000", se.Code == "55P02":
		return &pool.RejectedError{Err: err}
	}
	return err
}

// hasAny is true if the message has the field, or, where a server sends none, the words: those are translated, the names of the
// routines of PostgreSQL's source are not.
func (e *Error) hasAny(field, words string) bool {
	return bytes.Contains(e.Body, []byte("\x00"+field)) || strings.Contains(e.Message, words)
}
