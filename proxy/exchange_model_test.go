package proxy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sent is one message on its way to the modelled server.
type sent struct {
	typ   byte
	does  string // "", "error" or "copy" when it is run
	ours  bool   // its answers are not for the client
	plain bool   // of copy data: the server takes it; else it finds it wrong
}

// said is one message on its way back.
type said struct {
	word string
	ours bool
}

// model is PostgreSQL's message loop (postgres.c and copyfromparse.c), reduced to what decides who owes whom an answer.
type model struct {
	in       []sent
	out      []said
	skipping bool // after an error, until Sync
	copying  byte // the message that began the COPY: 'Q', 'E' or 0
	open     bool // extended messages have run since the last ReadyForQuery
}

func (m *model) say(ours bool, words ...string) {
	for _, w := range words {
		m.out = append(m.out, said{w, ours})
		if w == "ready=I" {
			m.open = false
		}
	}
}

// step runs one message.
func (m *model) step() {
	c := m.in[0]
	m.in = m.in[1:]
	switch {
	case m.copying != 0:
		m.copyStep(c)
	case m.skipping && c.typ != 'S':
	case c.typ == 'S':
		m.skipping = false
		m.say(c.ours, "ready=I")
	case c.typ == 'H' || c.typ == 'd' || c.typ == 'c' || c.typ == 'f':
	case c.typ == 'Q' || c.typ == 'F':
		switch c.does {
		case "error":
			m.say(c.ours, "error", "ready=I")
		case "copy":
			m.copying = 'Q'
			m.say(c.ours, "copyin")
		default:
			m.say(c.ours, "tag", "ready=I")
		}
	default:
		m.open = true
		switch c.does {
		case "error":
			m.skipping = true
			m.say(false, "error")
		case "copy":
			m.copying = 'E'
			m.say(c.ours, "copyin")
		default:
			m.say(c.ours, map[byte]string{'P': "parsed", 'B': "bound", 'E': "tag", 'C': "closed"}[c.typ])
		}
	}
}

func (m *model) copyStep(c sent) {
	began := m.copying
	switch {
	case c.typ == 'H' || c.typ == 'S' || (c.typ == 'd' && c.plain):
		return
	case c.typ == 'c':
		m.say(false, "tag")
	default: // CopyFail, wrong data, or a message that has no place here
		m.say(false, "error")
		m.skipping = began == 'E'
	}
	m.copying = 0
	if began == 'Q' {
		m.say(false, "ready=I")
	}
}

// done is true if nothing the server was sent can lead to another answer. Copy data that comes too late is ignored.
func (m *model) done() bool {
	for _, c := range m.in {
		if !strings.ContainsRune("Hdcf", rune(c.typ)) {
			return false
		}
	}
	return len(m.out) == 0 && !m.skipping && m.copying == 0 && !m.open
}

// exchangeRun joins an exchange, the model and what the client should see.
type exchangeRun struct {
	s         *session
	b         *backend
	m         model
	want, got []string
}

func newExchangeRun() *exchangeRun {
	r := &exchangeRun{s: &session{}, b: &backend{}}
	r.s.ex.reset()
	return r
}

func (r *exchangeRun) send(c sent) {
	switch {
	case c.ours && c.typ == 'Q':
		r.s.ex.add(markHidden)
	case c.ours && c.typ == 'C':
		r.s.ex.extendedOp(markOurClose, op{})
	case c.ours:
		r.s.ex.extendedOp(markOurParse, op{})
	default:
		r.s.ex.client(c.typ)
	}
	r.m.in = append(r.m.in, c)
}

func (r *exchangeRun) deliver(t *rapid.T) {
	a := r.m.out[0]
	r.m.out = r.m.out[1:]
	if !a.ours {
		r.want = append(r.want, a.word)
	}
	if serverSends(t, r.b, r.s, a.word) {
		r.got = append(r.got, a.word)
	}
}

// check fails if the server would go back to the pool while it still has something to say.
func (r *exchangeRun) check(t *rapid.T) {
	if r.s.ex.quiet() && !r.m.done() {
		t.Fatalf("the exchange is quiet, the server is not: to come in %v, out %v, skipping %v, copying %v, open %v",
			r.m.in, r.m.out, r.m.skipping, r.m.copying, r.m.open)
	}
}

// play sends msgs in order while the server runs and answers at times of rapid's choice, until the exchange is in doubt.
func (r *exchangeRun) play(t *rapid.T, msgs []sent) {
	for !r.s.ex.doubt && (len(msgs) > 0 || len(r.m.in) > 0 || len(r.m.out) > 0) {
		var can []string
		for act, ok := range map[string]bool{"client": len(msgs) > 0, "server": len(r.m.in) > 0, "answer": len(r.m.out) > 0} {
			if ok {
				can = append(can, act)
			}
		}
		slices.Sort(can)
		switch rapid.SampledFrom(can).Draw(t, "next") {
		case "client":
			// What is ours goes out together with what it is ours for.
			for r.send(msgs[0]); msgs[0].ours; r.send(msgs[0]) {
				msgs = msgs[1:]
			}
			msgs = msgs[1:]
		case "server":
			r.m.step()
		case "answer":
			r.deliver(t)
		}
		r.check(t)
	}
}

// TestExchangeIsNeverQuietTooEarly sends any messages in any order, sense or nonsense, and delivers the answers at any
// time. On failure rapid prints the seed and the shortest story.
func TestExchangeIsNeverQuietTooEarly(t *testing.T) {
	wild := rapid.Custom(func(t *rapid.T) sent {
		return sent{
			typ:   rapid.SampledFrom([]byte("QQQFPBEEESSSHdcf")).Draw(t, "type"),
			does:  rapid.SampledFrom([]string{"", "", "error"}).Draw(t, "does"),
			plain: rapid.Bool().Draw(t, "plain"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		msgs := rapid.SliceOfN(wild, 1, 12).Draw(t, "messages")
		for i := range msgs {
			if (msgs[i].typ == 'Q' || msgs[i].typ == 'E') && rapid.Bool().Draw(t, "copies") {
				msgs[i].does = "copy"
			}
		}
		newExchangeRun().play(t, msgs)
	})
}

// TestExchangeEndsForEveryHonestClient sends whole exchanges, pipelined: afterwards the server may go back, and the
// client has seen what was for it and nothing else.
func TestExchangeEndsForEveryHonestClient(t *testing.T) {
	unit := rapid.Custom(func(t *rapid.T) []sent {
		does := rapid.SampledFrom([]string{"", "error"}).Draw(t, "does")
		plain := rapid.Bool().Draw(t, "plain")
		end := rapid.SampledFrom([]byte("cf")).Draw(t, "end")
		data := []sent{{typ: 'd', plain: true}, {typ: 'd', plain: plain}, {typ: end}}
		switch rapid.IntRange(0, 8).Draw(t, "unit") {
		case 0:
			return []sent{{typ: 'F', does: does}}
		case 1:
			return []sent{{typ: 'P'}, {typ: 'B', does: does}, {typ: 'H'}, {typ: 'E'}, {typ: 'S'}}
		case 2:
			return append([]sent{{typ: 'Q', does: "copy"}}, data...)
		case 3: // libpq's way: everything with one Sync, which the server drops, and another after the data
			return append(append([]sent{{typ: 'P', does: does}, {typ: 'B'}, {typ: 'E', does: "copy"}, {typ: 'S'}}, data...), sent{typ: 'S'})
		case 4:
			return append(append([]sent{{typ: 'P'}, {typ: 'B', does: does}, {typ: 'E', does: "copy"}}, data...), sent{typ: 'S'})
		case 5:
			return []sent{{typ: 'Q', ours: true}, {typ: 'Q', does: does}}
		case 6:
			return []sent{{typ: 'P', ours: true, does: does}, {typ: 'B'}, {typ: 'E'}, {typ: 'S'}}
		case 7:
			return []sent{{typ: 'C', ours: true}, {typ: 'B', does: does}, {typ: 'S'}}
		}
		return []sent{{typ: 'Q', does: does}}
	})
	rapid.Check(t, func(t *rapid.T) {
		var msgs []sent
		for _, u := range rapid.SliceOfN(unit, 1, 5).Draw(t, "units") {
			msgs = append(msgs, u...)
		}
		r := newExchangeRun()
		r.play(t, msgs)
		if !r.s.ex.quiet() {
			t.Fatalf("the server has answered everything, the exchange waits for more: %+v", r.s.ex)
		}
		if got, want := strings.Join(r.got, " "), strings.Join(r.want, " "); got != want {
			t.Fatalf("the client sees\n%s, want\n%s", got, want)
		}
	})
}
