package translate

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestStories runs testdata/*.txt. Each file is one client; messages are written as in words_test.go.
//
//	new …       begins anew; max=2: statements that a server may have; room=0: clients that may keep theirs; and words
//	client      the client's messages: what goes to the server, what is owed, how everything stands
//	rest        the rest of the client's long message
//	server      the server's messages, read at once: what becomes of each, what goes to the server and to the client
//	each        the same, read one by one
//	leave       the client goes: what goes to the server
//	reap        its transaction, which does nothing, is taken from it
//	another     another client comes; the server is another, too, if the one before keeps its own
//	switch      the client's next transaction has another server
//	lose        the server ends
//	wait        an hour passes
//	reload      the server tells, while nobody has it, that texts are read in another environment
//	catalog …   what is known of the database: currval, opaque, stale, custom=name, renew
//	settings    what the client, or the server has set: client a=b …, server a=b …
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := newStory()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.run(d)
		})
	})
}

// story is a client, its server, and what is told of them.
type story struct {
	shelf *shelf
	card  *card
	seats *seats
	terms *Terms
	talk  *talk
	gone  *orphan
	srv   *far
	out   strings.Builder

	fate   string   // what has become of the last messages
	fated  []string // those
	passed []byte   // those of them that pass

	resting bool // the next bytes for the server are the rest of a message

	told [3]string // of the client, the server and the room
}

func newStory() *story {
	s := &story{shelf: newShelf(), card: &card{age: 1, bodies: 1}, seats: &seats{room: 10}}
	s.terms = terms(s.shelf, s.card, s.seats)
	s.begin()
	return s
}

// begin has a new client and a new server.
func (s *story) begin() {
	s.srv = &far{session: NewServer(), taken: func([]byte) {}}
	s.srv.session.memory = mixed // others have had it
	s.talk = newTalk(s.terms)
	s.talk.wrote = s.wrote
	s.gone = nil
	s.told = [3]string{s.talk.client.shows(), s.srv.session.shows(), "0"}
}

func (s *story) wrote(b []byte) {
	if s.resting {
		s.resting = false
		s.say("to server: the rest")
		return
	}
	s.say("to server: %s", shown(b, showClients))
}

func (s *story) say(format string, args ...any) {
	s.endLine()
	fmt.Fprintf(&s.out, format+"\n", args...)
}

func (s *story) run(d *datadriven.TestData) string {
	s.out.Reset()
	var err error
	switch d.Cmd {
	case "new":
		err = s.anew(d)
	case "client":
		err = s.client(d.Input)
	case "rest":
		if len(s.talk.tail) == 0 {
			err = fmt.Errorf("no message is without its end")
			break
		}
		s.resting = true
		s.talk.piece(s.talk.tail)
		s.resting = false
		s.pump()
	case "server", "each":
		err = s.server(d.Input, d.Cmd == "each")
	case "leave":
		if s.gone = s.talk.leave(); s.gone != nil {
			s.clean()
		}
	case "reap":
		s.gone = s.talk.reaped()
		s.clean()
	case "another":
		now := s.talk.now
		s.talk = newTalk(s.terms)
		s.talk.now = now
		s.talk.wrote = s.wrote
		if s.srv.lent {
			s.srv = &far{session: NewServer(), taken: func([]byte) {}}
			s.srv.session.memory = mixed // others have had it
		}
	case "switch":
		s.srv = &far{session: NewServer(), taken: func([]byte) {}}
		s.srv.session.memory = mixed // others have had it
	case "lose":
		s.talk.lose()
	case "wait":
		s.talk.now = s.talk.now.Add(time.Hour)
	case "reload":
		s.srv.session.ToldIdle("TimeZone")
	case "catalog":
		err = s.catalog(d)
	case "settings":
		err = s.settings(d.Input)
	default:
		err = fmt.Errorf("unknown command %s", d.Cmd)
	}
	if err != nil {
		s.say("error in the story: %v", err)
	}
	s.state()
	return s.out.String()
}

// anew begins anew, under other terms.
func (s *story) anew(d *datadriven.TestData) error {
	*s = *newStory()
	for _, a := range d.CmdArgs {
		n := 0
		if len(a.Vals) == 1 {
			n, _ = strconv.Atoi(a.Vals[0])
		}
		switch a.Key {
		case "max":
			s.terms.MaxPrepared = n
		case "room":
			s.seats.room = n
		case "session":
			s.terms.Session = true
		case "unshared": // unnamed statements stay what they are
			s.terms.PrepareUnnamed = false
		case "full":
			s.shelf.full = true
		case "eager":
			s.talk.eager = true
		case "application_name":
			s.terms.SyncApplicationName = true
		case "began":
			name, value, _ := strings.Cut(a.Vals[0], ":")
			s.terms.Began = append(s.terms.Began, Pair{name, value})
		default:
			return fmt.Errorf("nothing is called %s", a.Key)
		}
	}
	eager := s.talk.eager
	s.begin()
	s.talk.eager = eager
	return nil
}

// client has the client send messages.
func (s *story) client(text string) error {
	list, err := all(text, (*word).clientSays)
	if err != nil {
		return err
	}
	s.talk.in = append(s.talk.in, list...)
	s.pump()
	return nil
}

// pump sends on what may be sent.
func (s *story) pump() {
	for {
		if s.talk.phase == waiting && !s.srv.lent {
			s.talk.granted(s.srv)
			continue
		}
		if len(s.talk.tail) > 0 || !s.talk.next() {
			return
		}
	}
}

// server has the server say something.
func (s *story) server(text string, each bool) error {
	list, err := all(text, (*word).serverSays)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := s.hears(m); err != nil {
			return err
		}
		if each {
			s.passOn()
		}
	}
	s.passOn()
	s.pump()
	return nil
}

// hears gives one message of the server to who has it.
func (s *story) hears(m said) error {
	is, typ := shown(m.bytes, showServers), m.bytes[0]
	var fate Fate
	switch {
	case s.gone != nil:
		fate = s.gone.receive(m.bytes, len(m.tail) == 0)
	case s.talk.srv != nil:
		fate = s.talk.receive(m.bytes, len(m.tail) == 0)
	default:
		return fmt.Errorf("nobody has the server")
	}
	then := [...]string{Pass: "passes", Drop: "drops", Retract: "retracts"}[fate]
	if s.gone != nil {
		then = "nobody hears"
	}
	if m.bytes[0] != typ {
		then += " as " + string(m.bytes[0])
	}
	if s.fate != then {
		s.endLine()
		s.fate = then
	}
	s.fated = append(s.fated, is)
	if fate == Pass && s.gone == nil {
		s.passed = append(s.passed, m.bytes...)
	}
	if fate == Retract {
		s.passed = nil
	}
	if s.gone != nil {
		s.clean()
	}
	return nil
}

// endLine tells what has become of the server's messages.
func (s *story) endLine() {
	if len(s.fated) > 0 {
		fmt.Fprintf(&s.out, "%s: %s\n", s.fate, strings.Join(s.fated, " "))
		s.fated = nil
	}
}

// passOn tells what the client hears.
func (s *story) passOn() {
	if s.gone != nil {
		return
	}
	s.talk.flush()
	s.heard()
}

// heard tells what the client was told, if it is not just what has passed.
func (s *story) heard() {
	if !bytes.Equal(s.talk.heard, s.passed) {
		s.say("to client: %s", shown(s.talk.heard, showServers))
	}
	s.talk.heard, s.passed = nil, nil
}

// clean has the server of a client that has gone cleaned.
func (s *story) clean() {
	for s.gone.settle() {
	}
	switch s.gone.stage {
	case 'f':
		s.say("the server is fit for others")
		if s.talk.phase == free { // its client is still there
			s.gone = nil
		}
	case 'u':
		s.say("the server is thrown away")
	}
}

// state tells how everything stands.
func (s *story) state() {
	s.endLine()
	s.heard()
	l := &s.talk.lease
	if s.gone != nil {
		l = &s.gone.lease
	}
	if text := l.owed.shows(); text != "" && s.talk.phase != free {
		s.say("owed: %s", text)
	}
	if s.gone != nil {
		s.say("gone: %s", l.shows())
	} else {
		s.say("%s", s.talk)
	}
	if n := len(s.talk.in); n > 0 {
		var list []string
		for _, m := range s.talk.in {
			list = append(list, shown(m.bytes, showClients))
		}
		s.say("waits: %s", strings.Join(list, " "))
	}
	s.news(0, "client", s.talk.client.shows())
	s.news(1, "server", s.srv.session.shows())
	s.news(2, "kept servers", strconv.Itoa(s.seats.taken))
}

// news tells what is not as it was told last.
func (s *story) news(of int, what, is string) {
	if s.told[of] != is {
		s.told[of] = is
		s.say("%s: %s", what, is)
	}
}

// catalog changes what is known of the database.
func (s *story) catalog(d *datadriven.TestData) error {
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "currval":
			s.card.currval = true
		case "opaque":
			s.card.opaque = true
		case "unseen":
			s.card.unseen = true
		case "unread":
			s.card.unread = true
		case "stale":
			s.card.stale = true
		case "custom":
			s.card.customs = append(s.card.customs, a.Vals...)
		case "renew":
			s.card.Renew()
		case "show":
			s.say("catalog: %d, %s", s.card.age, strings.Join(s.card.changed, " "))
		default:
			return fmt.Errorf("nothing is called %s", a.Key)
		}
	}
	return nil
}

// settings gives the client, and the server, settings.
func (s *story) settings(text string) error {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		var pairs []Pair
		for _, w := range words[1:] {
			name, value, _ := strings.Cut(w, "=")
			pairs = append(pairs, Pair{name, value})
		}
		switch words[0] {
		case "client":
			s.talk.client.Set(NewSettings(pairs))
		case "server":
			s.srv.session.settings = NewSettings(pairs)
		case "told":
			s.srv.session.Told(pairs[0].Name, pairs[0].Value)
		default:
			return fmt.Errorf("nobody is called %s", words[0])
		}
	}
	return nil
}
