package translate

import (
	"bytes"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// Message is one message of a client, read once: what frames it and what its text says. Its bytes are those of the buffer that it
// was read into.
type Message struct {
	Type  byte
	Bytes []byte // all of it, or, if it is longer than a buffer, its start with every name in it
	Left  int    // how many bytes of it have not been read yet

	// of a Query
	Scan  sql.Result // what its text may do; of one that is not whole, all that is known is that it is another
	Print uint64     // its fingerprint; 0: not known
}

// Look scans the text of a Query.
func (m *Message) Look(l Library) {
	if m.Type != wire.Query {
		return
	}
	if m.Left > 0 {
		m.Scan = sql.Result{First: sql.Other, Statements: 1}
		return
	}
	m.Scan, m.Print = l.Look(m.Text())
}

// Body is what follows the header.
func (m *Message) Body() []byte { return m.Bytes[wire.HeaderSize:] }

// Text is that of a Query, as far as it is there, without its NUL.
func (m *Message) Text() []byte {
	if text, _, ok := wire.CString(m.Body()); ok {
		return text
	}
	return m.Body()
}

// Proper is true if the body of a Query is whole and a text and its NUL, as it should be; a server says what is wrong with others.
func (m *Message) Proper() bool {
	return m.Left == 0 && len(m.Bytes) > wire.HeaderSize && bytes.IndexByte(m.Body(), 0) == len(m.Body())-1
}

// ends is true for the messages that the client expects a ReadyForQuery for.
func ends(typ byte) bool {
	switch typ {
	case wire.Query, wire.FunctionCall, wire.Sync:
		return true
	}
	return false
}
