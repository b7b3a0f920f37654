package proxy

import (
	"strings"
	"sync/atomic"

	"pgguard/proxy/instance"
	"pgguard/proxy/library"
	"pgguard/proxy/translate"
)

// login is what is remembered for a key: what a client is told when it logs in.
type login struct {
	inst    *instance.Instance
	entry   *instance.Entry
	turn    uint64                 // of the entry
	origin  atomic.Pointer[string] // of the key's first server, and so of its clients; nil: there was none yet
	upheld  atomic.Pointer[upheld] // by the last server that needed it; nil: none has
	told    atomic.Pointer[report]
	refused atomic.Bool   // PostgreSQL has refused the last login
	knocks  chan struct{} // holds the right to knock
	knocked atomic.Pointer[knocked]
	options []translate.Pair // sent in the start-up packet
	shelf   *library.Shelf
	lessons lessons
	offer   atomic.Pointer[offer]
}

// offer is what holds for clients that log in under a configuration.
type offer struct {
	cfg   *Config
	terms [2]translate.Terms // of clients for whom statements are translated, and of those who have their server to themselves
}

// termsIn are those of a client that logs in now, in a mode.
func (srv *Server) termsIn(l *login, mode PoolMode) *translate.Terms {
	cfg, o := srv.cfg(), l.offer.Load()
	if o == nil || o.cfg != cfg {
		o = l.offerOf(cfg, srv)
		l.offer.Store(o)
	}
	if mode == PoolModeSession {
		return &o.terms[1]
	}
	return &o.terms[0]
}

// report is what a server reports of its settings.
type report struct {
	params *instance.Params
	era    uint64 // of the instance when the server reported them
}

// tell notes what a server of the key reports that has the settings of a new session, as of an era.
func (l *login) tell(p *instance.Params, era uint64) { l.told.Store(&report{p, era}) }

// known is what a new client is told; nil if that has to be asked for, because nothing is known or the server may report something else
// by now.
func (l *login) known() *instance.Params {
	if t := l.told.Load(); t != nil && t.era == l.inst.Era() {
		return t.params
	}
	return nil
}

// outdated is true if what a server has reported was before the era.
func (l *login) outdated() bool { t := l.told.Load(); return t != nil && t.era != l.inst.Era() }

// newLogin is for clients that log in at this turn with these settings in their start-up packets.
func (srv *Server) newLogin(in *instance.Instance, e *instance.Entry, turn uint64, options []translate.Pair) *login {
	return &login{inst: in, entry: e, turn: turn, options: options, knocks: make(chan struct{}, 1), shelf: srv.library.Shelf()}
}

// offerOf is what holds under cfg.
func (l *login) offerOf(cfg *Config, srv *Server) *offer {
	o := &offer{cfg: cfg}
	o.terms[0] = translate.Terms{
		Library: l.shelf, Catalog: l.inst.Catalog(l.entry.Database), Room: &room{srv, l.inst}, User: l.entry.User, Born: instance.ApplicationName, Began: l.options, Warns: true,
		Encoding: l.encoding, CountsWrites: l.countsWrites, MaxPrepared: cfg.MaxPrepared, StatementAge: cfg.StatementAge, PrepareUnnamed: cfg.PrepareUnnamed,
		SyncApplicationName: cfg.SyncApplicationName,
	}
	for _, p := range l.options {
		if p.Name == "client_min_messages" || p.Name == "lc_messages" {
			o.terms[0].Warns = false
		}
	}
	o.terms[1] = o.terms[0]
	o.terms[1].Session = true
	return o
}

// encoding is the client_encoding of a new session.
func (l *login) encoding() string {
	if t := l.told.Load(); t != nil {
		return t.params.Get("client_encoding")
	}
	return ""
}

// countsWrites is true from PostgreSQL 15 on: before, what a server counts is told by a process of its own, half a second late.
func (l *login) countsWrites() bool {
	t := l.told.Load()
	return t != nil && !strings.HasPrefix(t.params.Get("server_version"), "14.")
}

// newsLocked returns what the client must be told ahead of anything its server says: in what that server differs from
// what the client was told before. Nearly always that is nothing.
func (s *session) newsLocked(b *backend) []byte {
	p := b.params.Load()
	if p == s.params {
		return nil
	}
	news := p.AppendDiff(nil, s.params)
	s.params = p
	return news
}

// room counts the clients that keep servers of an instance.
type room struct {
	srv *Server
	in  *instance.Instance
}

// Pin implements translate.Room.
func (r *room) Pin(more translate.Pins, first bool) bool {
	more.Each(func(i int) { r.srv.count.pins[i].Add(1) })
	return !first || r.in.Pin()
}

// Unpin implements translate.Room.
func (r *room) Unpin() { r.in.Unpin() }
