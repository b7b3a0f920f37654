package wire

import (
	"encoding/binary"
	"errors"
)

// ErrorFields are the parts of an ErrorResponse or NoticeResponse that a proxy acts on. They are parts of the body.
type ErrorFields struct {
	Severity []byte // field V, not translated; or S where a server older than 9.6 sends no V
	Code     []byte // SQLSTATE
	Message  []byte
}

// Fatal is true if the server ends the connection after this message.
func (f ErrorFields) Fatal() bool {
	s := string(f.Severity)
	return s == "FATAL" || s == "PANIC"
}

var errFields = errors.New("malformed error message")

// ParseError reads the body of an ErrorResponse or NoticeResponse.
func ParseError(body []byte) (ErrorFields, error) {
	var f ErrorFields
	err := eachField(body, func(typ byte, text []byte) {
		switch typ {
		case 'V':
			f.Severity = text
		case 'S':
			if f.Severity == nil {
				f.Severity = text
			}
		case 'C':
			f.Code = text
		case 'M':
			f.Message = text
		}
	})
	return f, err
}

// ErrorStart returns the start of the body of an ErrorResponse or NoticeResponse as a body by itself: a copy that ends with the
// field that is cut off. What is whole already is returned as it is.
func ErrorStart(body []byte) []byte {
	if eachField(body, func(byte, []byte) {}) == nil {
		return body
	}
	out := append([]byte(nil), body...)
	if len(out) > 0 && out[len(out)-1] != 0 {
		out = append(out, 0)
	}
	return append(out, 0)
}

// AppendDemoted appends the whole ErrorResponse with body, but with severity ERROR in place of FATAL or PANIC and with
// detail, which holds no NUL, as its DETAIL where it had none: every other field stays as the server sent it.
func AppendDemoted(dst, body []byte, detail string) ([]byte, error) {
	start := len(dst)
	dst = append(dst, ErrorResponse, 0, 0, 0, 0)
	hasDetail := false
	err := eachField(body, func(typ byte, text []byte) {
		dst = append(dst, typ)
		switch typ {
		case 'S', 'V':
			dst = append(dst, "ERROR"...)
		case 'D':
			hasDetail = true
			dst = append(dst, text...)
		default:
			dst = append(dst, text...)
		}
		dst = append(dst, 0)
	})
	if err != nil {
		return dst[:start], err
	}
	if !hasDetail && detail != "" {
		dst = append(dst, 'D')
		dst = append(dst, detail...)
		dst = append(dst, 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst, nil
}

func eachField(body []byte, f func(typ byte, text []byte)) error {
	for {
		if len(body) == 0 {
			return errFields
		}
		typ := body[0]
		if typ == 0 {
			return nil
		}
		text, rest, ok := CString(body[1:])
		if !ok {
			return errFields
		}
		f(typ, text)
		body = rest
	}
}
