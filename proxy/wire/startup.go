package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Codes in the place of a protocol version in a first packet.
const (
	codeCancel = 1234<<16 | 5678
	codeSSL    = 1234<<16 | 5679
	codeGSS    = 1234<<16 | 5680
)

// Versions of the protocol.
const (
	Version30 = 3 << 16
	Version32 = 3<<16 | 2 // cancel keys of up to 256 bytes
)

// maxStartup is MAX_STARTUP_PACKET_LENGTH of PostgreSQL.
const maxStartup = 10000

// Kind says what a client's first packet asks for.
type Kind uint8

// The kinds of first packets.
const (
	KindStartup Kind = iota
	KindCancel
	KindSSL
	KindGSS
)

// Startup is a client's first packet.
type Startup struct {
	Kind    Kind
	Version uint32  // of KindStartup
	Params  []Param // of KindStartup, in the order sent; the last of a repeated name counts
	PID     uint32  // of KindCancel
	Secret  []byte  // of KindCancel, 4 to 256 bytes
}

// Param is one name and value of a start-up packet.
type Param struct{ Name, Value string }

// ReadStartup reads one first packet from r and not a byte more, so that nothing sent in clear before encryption is
// settled can be taken for something sent after. Errors name what is wrong, never a value: values can hold secrets.
func ReadStartup(r io.Reader) (*Startup, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if isHTTP(head[:]) {
		return nil, errors.New("an HTTP request, where PostgreSQL's protocol is spoken")
	}
	if n < 8 || n > maxStartup {
		return nil, fmt.Errorf("invalid length of startup packet: %d", n)
	}
	body := make([]byte, n-8)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	switch code := binary.BigEndian.Uint32(head[4:]); code {
	case codeSSL, codeGSS:
		if len(body) != 0 {
			return nil, errors.New("encryption request with a body")
		}
		if code == codeSSL {
			return &Startup{Kind: KindSSL}, nil
		}
		return &Startup{Kind: KindGSS}, nil
	case codeCancel:
		if len(body) < 8 || len(body) > 4+256 {
			return nil, errors.New("invalid length of cancel request")
		}
		return &Startup{Kind: KindCancel, PID: binary.BigEndian.Uint32(body), Secret: body[4:]}, nil
	default:
		s := &Startup{Kind: KindStartup, Version: code}
		if code>>16 != 3 {
			return s, nil // the layout of other versions is unknown
		}
		return s, s.parse(body)
	}
}

// isHTTP is true for the start of an HTTP request, which is no length of a packet.
func isHTTP(head []byte) bool {
	switch string(head[:4]) {
	case "GET ", "HEAD", "POST", "PUT ", "PATC", "DELE", "OPTI", "CONN", "TRAC", "PRI ":
		return true
	}
	return false
}

// parse reads the name and value pairs of a start-up packet.
func (s *Startup) parse(b []byte) error {
	for {
		name, rest, ok := CString(b)
		if !ok {
			return errors.New("invalid startup packet layout: expected terminator as last byte")
		}
		if len(name) == 0 {
			if len(rest) != 0 {
				return errors.New("invalid startup packet layout: bytes after the terminator")
			}
			return nil
		}
		value, rest, ok := CString(rest)
		if !ok {
			return fmt.Errorf("startup parameter %q has no value", printable(name))
		}
		s.Params = append(s.Params, Param{string(name), string(value)})
		b = rest
	}
}

// printable shortens a name that a stranger chose to something fit for a log.
func printable(b []byte) string {
	if len(b) > 63 {
		b = b[:63]
	}
	return string(bytes.ToValidUTF8(b, []byte("?")))
}
