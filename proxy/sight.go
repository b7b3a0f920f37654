package proxy

import (
	"cmp"
	"net"
	"time"
	"unique"

	"pgguard/pool/event"
	"pgguard/pool/sorting"
	"pgguard/proxy/instance"
	"pgguard/proxy/sql"
)

// Sight is what one look at the clients of one PostgreSQL shows beside Stats: who they are, and what they run. Its names are text of
// clients, fit to be shown.
type Sight struct {
	Name   string // host:port of the instance
	Local  bool   // it is on this machine
	Crowds []Crowd
	Prints []Print
	Seen   *instance.Seen // what the side channel saw last; nil: nothing yet
	// Holder is who the client is that has the server for which others wait; the zero value: none of ours has it.
	Holder, Between Person
}

// Crowd is the clients of one application_name.
type Crowd struct {
	Application string
	Clients     int
	Active      int
	Waiting     int
	Idling      int // in a transaction that does nothing, with a server
	Unread      int // do not read what they asked for
	// Oldest is for how long the one has idled, or not been read to, that has for longest; Client, PID, Class and Print are of it.
	Oldest time.Duration
	Client string
	PID    uint32
	Class  string
	Print  uint16
}

// Print is what one kind of statement has taken.
type Print struct {
	Index       uint16
	Fingerprint uint64
	instance.Named
	Calls       uint64        // that have ended
	Took        time.Duration // they
	Underway    time.Duration // those that run now have run so far; only a Sight knows
	Waited      time.Duration // for servers and run tokens
	Blocked     uint64        // how many were seen to wait for a lock
	BlockedTook time.Duration // and how long those took
}

// Person is who a client is.
type Person struct{ Application, Client, Class string }

// throng is what one look gathers of the clients of one PostgreSQL.
type throng struct {
	crowds   map[string]*Crowd
	underway map[uint16]time.Duration // how long the statements that run have run, by kind
}

// maxCrowds is how many application_names are told apart; clients of others are counted as of elsewhere.
const maxCrowds = 100

// elsewhere is the crowd of those that are not told apart.
const elsewhere = "(others)"

// Sights looks at the clients of every instance. It takes each session's lock for a moment, one after the other.
func (srv *Server) Sights() []Sight {
	now := time.Now()
	throngs := map[*instance.Instance]*throng{}
	for _, s := range srv.all() {
		in := s.instance()
		if throngs[in] == nil {
			throngs[in] = &throng{crowds: map[string]*Crowd{}, underway: map[uint16]time.Duration{}}
		}
		s.join(throngs[in], now)
	}
	var list []Sight
	for _, in := range srv.allInstances() {
		sight := Sight{Name: in.Name(), Local: isHere(in.Door().Upstream.Host), Seen: in.Seen()}
		t := throngs[in]
		if t == nil {
			t = &throng{}
		}
		sight.Prints = srv.printsOf(in, t.underway)
		for _, c := range t.crowds {
			sight.Crowds = append(sight.Crowds, *c)
		}
		sorting.By(sight.Crowds, func(a, b Crowd) int {
			return cmp.Or(cmp.Compare(b.Clients, a.Clients), cmp.Compare(a.Application, b.Application))
		})
		if sight.Seen != nil && sight.Seen.Holder != nil {
			h := sight.Seen.Holder
			if sight.Holder = srv.personOf(h.Server); h.Through != nil {
				sight.Between = srv.personOf(h.Through.Server)
			}
		}
		list = append(list, sight)
	}
	sorting.By(list, func(a, b Sight) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// isHere is true for the host of a PostgreSQL on this machine.
func isHere(host string) bool { return len(host) > 0 && host[0] == '/' || IsLoopback(host) }

// nameLocked is the application_name, fit to be shown: what the client has set last, else what it said at its login.
func (s *session) nameLocked() string {
	if s.client.Renamed() {
		if name, set := s.client.Settings().Get("application_name"); set {
			return sql.Shown(name, sql.MaxName)
		}
	}
	return s.called.Value()
}

// named is a name that many clients have, kept once.
func named(name string) unique.Handle[string] { return unique.Make(sql.Shown(name, sql.MaxName)) }

// join counts the session in its crowd.
func (s *session) join(t *throng, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, crowds := s.nameLocked(), t.crowds
	c := crowds[name]
	if c == nil && len(crowds) >= maxCrowds {
		name = elsewhere
		c = crowds[name]
	}
	if c == nil {
		c = &Crowd{Application: name}
		crowds[name] = c
	}
	c.Clients++
	l := s.link
	switch {
	case s.state == queued || s.state == awaiting:
		c.Waiting++
	case l == nil:
	case s.state == idling:
		c.Idling++
		s.lasts(c, l, now.Sub(l.idleSince))
	case s.state == running && s.conn.Stuck():
		c.Unread++
		s.lasts(c, l, now.Sub(l.started))
	case s.state == running && l.b.waits.Load():
		c.Idling++
		s.lasts(c, l, now.Sub(l.idleSince))
	case s.state == running:
		t.underway[uint16(l.b.print.Load())] += now.Sub(l.started)
		c.Active++
	case s.state == preparing:
		c.Active++
	}
}

// lasts notes the session in its crowd if it has done nothing for longer than the others. It is called with mu held.
func (s *session) lasts(c *Crowd, l *link, d time.Duration) {
	if d < c.Oldest {
		return
	}
	c.Oldest, c.Client, c.PID = d, hostOf(s.conn.Conn), l.b.pid
	c.Class, c.Print = s.srv.cfg().Pool.Classes[s.class].Name, uint16(l.b.print.Load())
}

// hostOf is where a client comes from, without its port.
func hostOf(nc net.Conn) string {
	where := remote(nc)
	if host, _, err := net.SplitHostPort(where); err == nil {
		return host
	}
	return where
}

// personOf is whose server this is; the zero value: nobody's.
func (srv *Server) personOf(server instance.Server) Person {
	b, ok := server.(*backend)
	if !ok {
		return Person{}
	}
	l := b.link.Load()
	if l == nil || l.s == nil {
		return Person{}
	}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return Person{}
	}
	return Person{Application: s.nameLocked(), Client: hostOf(s.conn.Conn), Class: srv.cfg().Pool.Classes[s.class].Name}
}

// printsOf is what each kind of statement has taken of an instance, with what is under way of each.
func (srv *Server) printsOf(in *instance.Instance, underway map[uint16]time.Duration) (list []Print) {
	tallies := in.Pool.Tallies()
	for i := range tallies[1:] {
		index := uint16(i + 1)
		if t, runs := tallies[index], underway[index]; t.Calls > 0 || runs > 0 {
			fingerprint, name := srv.prints.Of(index)
			list = append(list, Print{Index: index, Fingerprint: fingerprint, Named: name, Calls: t.Calls, Took: t.Took, Underway: runs, Waited: t.Waited, Blocked: t.Blocked, BlockedTook: t.BlockedTook})
		}
	}
	return list
}

// Statements is what each kind of statement has taken, by the address of its instance.
func (srv *Server) Statements() map[string][]Print {
	all := map[string][]Print{}
	for _, in := range srv.allInstances() {
		all[in.Name()] = srv.printsOf(in, nil)
	}
	return all
}

// Note keeps an event among the guard's own.
func (srv *Server) Note(e event.Event) { srv.events.Add(e) }
