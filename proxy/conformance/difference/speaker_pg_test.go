//go:build pg

package difference

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/wire"
)

// patience bounds the wait for one message. Nothing generated takes a second, also on a machine that is busy. It is less
// while a script that hangs is made smaller.
var patience = 20 * time.Second

// speaker is a client: it writes messages as it is told and keeps what comes back.
type speaker struct {
	nc     net.Conn
	r      *bufio.Reader
	ledger ledger
	said   transcript
	names  normaliser
	over   bool
	got    []message // answers to copy requests that have not been given yet
	goes   bool      // and are not going to be complete: it leaves

	moving    bool              // the world changes
	functions map[string]uint32 // their numbers, for FunctionCall
	batch     bool              // a batch has been begun and not ended
	key       []byte            // to cancel with
	refusals  *refusals         // of the step, with a guard that refuses
}

// dial logs in. The end of the login is the first line of the transcript.
func dial(addr, user, database string, options []string) (*speaker, error) {
	p := &speaker{}
	return p, p.dial(addr, user, database, options)
}

// dial goes on with the transcript of the client before.
func (p *speaker) dial(addr, user, database string, options []string) error {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	from := len(p.said.lines)
	*p = speaker{nc: nc, r: bufio.NewReaderSize(nc, 64<<10), said: p.said, names: p.names, functions: p.functions, moving: p.moving}
	params := map[string]string{"user": user, "database": database}
	for i := 0; i+1 < len(options); i += 2 {
		params[options[i]] = options[i+1]
	}
	hello, err := (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: params}).Encode(nil)
	if err != nil {
		return errors.Join(err, nc.Close())
	}
	p.write(hello)
	p.ledger.owed = []message{sync}
	p.settle()
	p.said.login(from)
	return nil
}

func (p *speaker) write(b []byte) {
	if p.over {
		return
	}
	_ = p.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.nc.Write(b); err != nil {
		p.end(closed)
	}
}

// send writes the messages at once.
func (p *speaker) send(messages ...message) { p.write(p.bytes(messages)) }

// bytes enters the messages as sent.
func (p *speaker) bytes(messages []message) (b []byte) {
	for _, m := range messages {
		if oid := p.functions[m.name]; m.kind == "FunctionCall" && oid != 0 {
			m.types = []uint32{oid}
		}
		p.ledger.send(m)
		p.batch = (p.batch || extends(m) && m.kind != "Close") && units([]message{m}) == 0
		b = m.append(b)
	}
	return b
}

// open is whether a batch has been begun that has not ended: its server is the client's. A Close alone takes none.
func (p *speaker) open() bool { return p.batch || p.ledger.skipping }

// play makes a step of the client: it writes, answers requests for copy data, and reads what is owed.
func (p *speaker) play(st step) {
	p.got = st.answers
	p.send(st.messages...)
	p.settle()
}

// settle reads until the server owes nothing that would come by itself.
func (p *speaker) settle() {
	for !p.over && p.ledger.waiting() {
		p.receive()
	}
}

// receive reads one message and, if it asks for copy data of which none was sent, answers.
func (p *speaker) receive() {
	typ, body, err := p.message()
	if err != nil {
		p.end(reason(err))
		return
	}
	if typ == wire.BackendKeyData {
		p.key = body
	}
	line := p.names.line(typ, body)
	m, ok := p.ledger.head()
	ours := ok && m.ours && (typ == wire.CloseComplete || typ == wire.ReadyForQuery)
	if !ours && (p.refusals == nil || !p.refusals.take(&p.said, &p.ledger, line)) {
		p.said.add(line)
	}
	if typ == wire.DataRow && p.names.pidColumn {
		p.said.pids = append(p.said.pids, string(body))
	}
	extended := len(p.ledger.owed) > 0 && p.ledger.owed[0].kind == "Execute"
	p.ledger.receive(typ)
	if typ != wire.CopyInResponse || !p.ledger.copying || p.goes {
		return
	}
	end := slices.IndexFunc(p.got, endsCopy)
	if end < 0 {
		p.send(copyFail("there is no more data"))
		if extended {
			p.send(sync)
		}
		return
	}
	for end++; end < len(p.got) && p.got[end].kind == "Sync"; end++ { // what follows the copy goes with it
	}
	now := p.got[:end]
	p.got = p.got[end:]
	p.send(now...)
}

func (p *speaker) message() (typ byte, body []byte, err error) {
	_ = p.nc.SetReadDeadline(time.Now().Add(patience))
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(p.r, body)
	return head[0], body, err
}

func reason(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("nothing has come for %s", patience)
	}
	return closed
}

// end closes; why becomes the last line of the transcript.
func (p *speaker) end(why string) {
	if !p.over {
		p.said.add("(" + why + ")")
		p.over = true
		_ = p.nc.Close()
	}
}

// leave says goodbye and waits until the server has closed.
func (p *speaker) leave() {
	p.write(wire.AppendEmpty(nil, wire.Terminate))
	for !p.over {
		p.receive()
	}
}
