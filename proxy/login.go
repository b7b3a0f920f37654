package proxy

import (
	"strings"
	"sync/atomic"

	"pgguard/proxy/instance"
	"pgguard/proxy/translate"
)

// login is what is remembered for a key: what a client is told when it logs in.
type login struct {
	params  atomic.Pointer[instance.Params]
	options []translate.Pair // sent in the start-up packet
	lessons lessons
	terms   [2]translate.Terms // of clients for whom statements are translated, and of those who have their server to themselves
}

// newLogin is for clients of this user with these settings in their start-up packets.
func (srv *Server) newLogin(in *instance.Instance, database, user string, options []translate.Pair) *login {
	l := &login{options: options}
	l.terms[0] = translate.Terms{
		Library: srv.library.Shelf(), Catalog: in.Catalog(database), Room: &room{srv, in}, User: user, Began: options, Warns: true,
		Encoding: l.encoding, CountsWrites: l.countsWrites, MaxPrepared: srv.cfg.MaxPrepared, StatementAge: srv.cfg.StatementAge, PrepareUnnamed: srv.cfg.PrepareUnnamed,
		SyncApplicationName: srv.cfg.SyncApplicationName,
	}
	for _, o := range options {
		if o.Name == "client_min_messages" || o.Name == "lc_messages" {
			l.terms[0].Warns = false
		}
	}
	l.terms[1] = l.terms[0]
	l.terms[1].Session = true
	return l
}

// encoding is the client_encoding of a new session.
func (l *login) encoding() string {
	if p := l.params.Load(); p != nil {
		return p.Get("client_encoding")
	}
	return ""
}

// countsWrites is true from PostgreSQL 15 on: before, what a server counts is told by a process of its own, half a second late.
func (l *login) countsWrites() bool {
	p := l.params.Load()
	return p != nil && !strings.HasPrefix(p.Get("server_version"), "14.")
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
