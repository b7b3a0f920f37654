package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Types of messages a client sends. The same letter may mean another thing in the other direction.
const (
	Bind         = 'B' // portal \0, statement \0, formats, parameters, result formats
	Close        = 'C' // 'S' or 'P', name \0
	CopyData     = 'd' // bytes; both directions
	CopyDone     = 'c' // empty; both directions
	CopyFail     = 'f' // reason \0
	Describe     = 'D' // 'S' or 'P', name \0
	Execute      = 'E' // portal \0, row limit int32
	Flush        = 'H' // empty
	FunctionCall = 'F' // oid, formats, arguments, result format
	Parse        = 'P' // name \0, text \0, parameter types
	Password     = 'p' // also SASL answers
	Query        = 'Q' // text \0
	Sync         = 'S' // empty
	Terminate    = 'X' // empty
)

// Types of messages a server sends.
const (
	Authentication       = 'R' // int32 method, method's data
	BackendKeyData       = 'K' // pid int32, secret 4 to 256 bytes
	BindComplete         = '2'
	CloseComplete        = '3'
	CommandComplete      = 'C' // tag \0
	CopyInResponse       = 'G'
	CopyOutResponse      = 'H'
	CopyBothResponse     = 'W'
	DataRow              = 'D'
	EmptyQueryResponse   = 'I'
	ErrorResponse        = 'E' // (field byte, text \0)… \0
	FunctionCallResponse = 'V'
	NegotiateVersion     = 'v' // minor int32, count int32, names \0
	NoData               = 'n'
	NoticeResponse       = 'N' // as ErrorResponse
	NotificationResponse = 'A'
	ParameterDescription = 't'
	ParameterStatus      = 'S' // name \0, value \0
	ParseComplete        = '1'
	PortalSuspended      = 's'
	ReadyForQuery        = 'Z' // 'I', 'T' or 'E'
	RowDescription       = 'T'
)

// Transaction states in ReadyForQuery.
const (
	Idle          = 'I'
	InTransaction = 'T'
	Failed        = 'E'
)

// HeaderSize is a type byte and a length.
const HeaderSize = 5

// MaxMessage is the longest message PostgreSQL itself accepts (PQ_LARGE_MESSAGE_LIMIT), type byte excluded.
const MaxMessage = 1<<30 - 1

// ErrLength is returned for a length that no message can have; the stream cannot be followed any further.
var ErrLength = errors.New("invalid message length")

// Peek returns the type of the message at the start of b and its whole size, header included. ok is false when b holds
// less than a header. It does not look at the body, which need not be there.
func Peek(b []byte) (typ byte, size int, ok bool, err error) {
	if len(b) < HeaderSize {
		return 0, 0, false, nil
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || n > MaxMessage {
		return b[0], 0, false, ErrLength
	}
	return b[0], int(n) + 1, true, nil
}

// CString returns the text up to the first NUL of b and what follows the NUL. Both are parts of b. ok is false when b
// has no NUL.
func CString(b []byte) (text, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}
