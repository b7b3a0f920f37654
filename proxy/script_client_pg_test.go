//go:build pg

package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// soon bounds the wait for one message, when nothing is in its way.
const soon = 8 * time.Second

// speaker is a client that writes the bytes it is told and keeps what comes back as lines of text.
type speaker struct {
	t    testing.TB
	nc   net.Conn
	r    *bufio.Reader
	said []string
	pid  uint32
	key  []byte
	over bool // the server has closed
}

// startup is a first packet of this protocol version; params are pairs.
func startup(version uint32, params ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, p := range params {
		body = append(append(body, p...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// dial opens a connection without a word.
func dial(t testing.TB, addr string) *speaker {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	p := &speaker{t: t, nc: nc, r: bufio.NewReaderSize(nc, 64<<10)}
	t.Cleanup(func() { _ = nc.Close() })
	return p
}

// enter logs user postgres in to database postgres; params are further pairs. What was said at the login is kept in
// the lines returned.
func enter(t testing.TB, addr string, params ...string) (p *speaker, login []string) {
	t.Helper()
	p = dial(t, addr)
	p.write(startup(wire.Version30, append([]string{"user", "postgres", "database", "postgres"}, params...)...))
	p.read("Z")
	login, p.said = p.said, nil
	return p, login
}

// write sends all of b at once.
func (p *speaker) write(b []byte) {
	p.t.Helper()
	_ = p.nc.SetWriteDeadline(time.Now().Add(patience))
	_, _ = p.nc.Write(b) // that the connection is closed is read
}

// read reads until the messages of the types in until have come in that order, or the server closes.
func (p *speaker) read(until string) {
	p.t.Helper()
	for until != "" && !p.over {
		typ, body := p.message()
		if p.over {
			return
		}
		p.said = append(p.said, p.line(typ, body))
		if typ == until[0] {
			until = until[1:]
		}
	}
}

// message reads one message whole. It sets over if there is none, and fails the test if none comes.
func (p *speaker) message() (typ byte, body []byte) {
	p.t.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(soon))
	var head [wire.HeaderSize]byte
	_, err := io.ReadFull(p.r, head[:])
	if err == nil {
		body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		_, err = io.ReadFull(p.r, body)
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		if t, ok := p.t.(*testing.T); ok {
			dump(t, "no answer; so far:\n%s", excerpt(p.said, len(p.said)))
		}
		p.t.Fatal("no answer")
	}
	if err != nil {
		p.over = true
		p.said = append(p.said, "closed")
	}
	return head[0], body
}

// lines takes what was said so far.
func (p *speaker) lines() []string {
	out := p.said
	p.said = nil
	return out
}

// ask runs one simple query and returns what was said.
func (p *speaker) ask(text string) []string {
	p.t.Helper()
	p.write(simple(text))
	p.read("Z")
	return p.lines()
}

// expect runs one simple query and fails the test unless exactly this was said, lines joined by "; ".
func (p *speaker) expect(text, want string) {
	p.t.Helper()
	if got := strings.Join(p.ask(text), "; "); got != want {
		p.t.Errorf("%s\n got %s\nwant %s", text, got, want)
	}
}

// leave says goodbye and waits until the server has closed.
func (p *speaker) leave() {
	p.t.Helper()
	p.write(wire.AppendEmpty(nil, wire.Terminate))
	p.read("Z")
	if !p.over {
		p.t.Error("the connection was not closed")
	}
	_ = p.nc.Close()
}

// line is one message as text: everything that must not differ from server to server.
func (p *speaker) line(typ byte, body []byte) string {
	text := func(b []byte) string { return strings.ReplaceAll(strings.TrimRight(string(b), "\x00"), "\x00", "|") }
	switch typ {
	case wire.BackendKeyData:
		p.pid, p.key = binary.BigEndian.Uint32(body), body[4:]
		return "K"
	case wire.ErrorResponse, wire.NoticeResponse:
		return string(typ) + " " + fieldsLine(body)
	case wire.DataRow:
		return "D " + rowLine(body)
	case wire.NotificationResponse:
		return "A " + text(body[4:])
	case wire.RowDescription:
		return "T " + columnsLine(body)
	case wire.CommandComplete, wire.ParameterStatus, wire.ReadyForQuery:
		return string(typ) + " " + text(body)
	}
	if len(body) == 0 {
		return string(typ)
	}
	return fmt.Sprintf("%c %q", typ, shorten(body))
}

// fieldsLine is an error or a notice but for where in the server's source it arose.
func fieldsLine(body []byte) string {
	var out []string
	for _, f := range strings.Split(string(body), "\x00") {
		if f != "" && strings.IndexByte("SVCMDHPWn", f[0]) >= 0 {
			out = append(out, string(shorten([]byte(f))))
		}
	}
	return strings.Join(out, " ")
}

func rowLine(body []byte) string {
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	var out []string
	for range n {
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			out = append(out, "NULL")
			continue
		}
		out = append(out, string(shorten(body[:size])))
		body = body[size:]
	}
	return strings.Join(out, "|")
}

func columnsLine(body []byte) string {
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	var out []string
	for range n {
		name, rest, _ := wire.CString(body)
		out = append(out, fmt.Sprintf("%s:%d:%d", name, binary.BigEndian.Uint32(rest[6:]), binary.BigEndian.Uint16(rest[16:])))
		body = rest[18:]
	}
	return strings.Join(out, "|")
}

// shorten keeps what is long recognisable.
func shorten(b []byte) []byte {
	if len(b) <= 300 {
		return b
	}
	sum := uint32(0)
	for _, c := range b {
		sum = sum*31 + uint32(c)
	}
	return fmt.Appendf(nil, "%s…(%d bytes, sum %d)", b[:20], len(b), sum)
}
