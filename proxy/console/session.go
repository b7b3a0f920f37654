package console

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy"
	"pgguard/proxy/wire"
)

// session is one operator. It belongs to his goroutine.
type session struct {
	console  *Console
	guard    Guard
	operator *proxy.Operator
	r        *bufio.Reader
	w        *bufio.Writer

	statements map[string]*statement
	portals    map[string]*portal
	skip       bool   // after an error in an extended message: everything up to Sync
	suspension uint64 // the number of what this operator has suspended last; 0: nothing
}

// failure is an answer of the console against a command. The operator stays, unless it is fatal.
type failure struct {
	code, message string
	fatal         bool
	detail        string
}

func (f *failure) Error() string { return f.message }

// failed is a failure in PgBouncer's words, which have one code, but for one.
func failed(format string, args ...any) *failure {
	return &failure{code: "08P01", message: fmt.Sprintf(format, args...)}
}

const (
	// maxMessage bounds a message of an operator. No command comes near it; what is longer is answered with a farewell.
	maxMessage = 128 << 10
	// writeWithin bounds how long an operator may take to read a part of an answer.
	writeWithin = 30 * time.Second
	// bufferSize is of what is written at once.
	bufferSize = 8 << 10
)

// run greets the operator and answers until he leaves.
func (s *session) run() {
	s.r, s.w = bufio.NewReaderSize(s.operator.Conn, 1<<10), bufio.NewWriterSize(patient{s.operator}, bufferSize)
	s.greet()
	for s.w.Flush() == nil {
		typ, body, err := s.next()
		if err == nil {
			err = s.answer(typ, body)
		}
		var f *failure
		switch {
		case err == nil:
			continue
		case errors.As(err, &f):
			s.say(errorResponse(f))
			_ = s.w.Flush()
		}
		return
	}
}

// patient writes to an operator with a deadline.
type patient struct{ o *proxy.Operator }

func (p patient) Write(b []byte) (int, error) {
	_ = p.o.Conn.SetWriteDeadline(time.Now().Add(writeWithin))
	return p.o.Conn.Write(b)
}

// likeVersion is the PgBouncer whose console this one is like. Tools read it to know which columns there are.
const likeVersion = "1.25.2"

// greet says what PgBouncer says after a login.
func (s *session) greet() {
	for _, p := range [][2]string{
		{"server_version", likeVersion + "/bouncer"}, {"client_encoding", "UTF8"}, {"server_encoding", "UTF8"}, {"DateStyle", "ISO"}, {"TimeZone", "GMT"},
		{"standard_conforming_strings", "on"}, {"is_superuser", "on"}, {"application_name", s.operator.ApplicationName},
	} {
		s.say(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	_, _ = s.w.Write(wire.AppendKey(nil, s.operator.PID, s.operator.Secret))
	s.ready()
}

// ready says that the next command may come.
func (s *session) ready() { s.say(&pgproto3.ReadyForQuery{TxStatus: wire.Idle}) }

// say writes a message, which leaves with the next Flush at the latest; that also tells of errors.
func (s *session) say(m pgproto3.BackendMessage) {
	out, err := m.Encode(nil)
	if err != nil {
		out, _ = errorResponse(&failure{code: "54000", message: "an answer is too long"}).Encode(nil)
	}
	_, _ = s.w.Write(out)
}

// errorResponse is a failure as a message.
func errorResponse(f *failure) *pgproto3.ErrorResponse {
	severity := "ERROR"
	if f.fatal {
		severity = "FATAL"
	}
	return &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: f.code, Message: f.message, Detail: f.detail}
}

// next reads a message; nothing is allocated of what is only announced.
func (s *session) next() (typ byte, body []byte, err error) {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length-4 > maxMessage {
		return 0, nil, &failure{code: "08P01", message: fmt.Sprintf("invalid message length: %d", length), fatal: true}
	}
	for left := int(length) - 4; left > 0; {
		n, at := min(left, 4<<10), len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(s.r, body[at:]); err != nil {
			return 0, nil, err
		}
		left -= n
	}
	return head[0], body, nil
}

// errLeft ends an operator who has said goodbye.
var errLeft = errors.New("operator said goodbye")

// answer deals with one message. An error ends the operator.
func (s *session) answer(typ byte, body []byte) error {
	switch typ {
	case wire.Terminate:
		return errLeft
	case wire.Query:
		return s.query(body)
	case wire.Sync:
		s.skip = false
		s.ready()
		return nil
	case wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close, wire.Flush:
		if s.skip {
			return nil
		}
		err := s.extended(typ, body)
		var f *failure
		if errors.As(err, &f) && !f.fatal {
			s.say(errorResponse(f))
			s.skip = true
			return nil
		}
		return err
	}
	return &failure{code: "08P01", message: fmt.Sprintf("the console does not take messages of type %q", typ), fatal: true}
}

// query answers a simple query.
func (s *session) query(body []byte) error {
	text, _, ok := wire.CString(body)
	if !ok {
		return &failure{code: "08P01", message: "invalid string in message", fatal: true}
	}
	delete(s.statements, "")
	delete(s.portals, "")
	st, err := s.prepare(string(text))
	s.console.commands.Add(1)
	if err == nil {
		err = s.perform(st)
	}
	var f *failure
	if errors.As(err, &f) {
		s.say(errorResponse(f))
		err = nil
	}
	if err != nil {
		return err
	}
	s.ready()
	return nil
}

// remark says what goes before an answer.
func (s *session) remark(notices []*pgproto3.NoticeResponse) {
	for _, n := range notices {
		s.say(n)
	}
}

// notices are lines as messages.
func notices(lines []string) (list []*pgproto3.NoticeResponse) {
	for _, line := range lines {
		list = append(list, &pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: line})
	}
	return list
}

// perform carries out a statement of a simple query.
func (s *session) perform(st *statement) error {
	done, err := st.run(s)
	if err != nil {
		return err
	}
	s.remark(done.notices)
	if st.columns != nil {
		s.say(describe(st.columns, nil))
	}
	for _, r := range done.rows {
		s.say(r.encode(st.columns, nil))
	}
	s.say(&pgproto3.CommandComplete{CommandTag: []byte(done.tag)})
	return nil
}
