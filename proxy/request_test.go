package proxy

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// TestRequestIsNobodyElsesWhileItIsWritten: who writes a request that may be sent again does so without a lock. Its client may leave, or send more, before it is
// written, so that it will not be sent again; its bytes are still its own then, and not what another client sends next.
func TestRequestIsNobodyElsesWhileItIsWritten(t *testing.T) {
	s := &session{srv: &Server{}, state: queued, local: wire.Idle, in: sock.Borrow()}
	s.cond = *sync.NewCond(&s.mu)
	s.client = anyClient()
	server := translate.NewServer()
	l := &link{s: s, rested: true}
	s.link = l
	l.lease.Begin(&s.client, &server)

	text := wire.AppendText(nil, wire.Query, "insert into t values (1)")
	s.in.W += copy(s.in.Data[s.in.R:], text)
	m := translate.Message{Type: wire.Query, Bytes: s.in.Bytes()}
	m.Look(s.client.Library)
	r := getRequest()
	s.client.Note(&r.Request, &m, l.lease.Standing())
	s.holdLocked(r, s.in.W)

	out, used := l.firstLocked(nil, nil, time.Now())
	if l.kept != r {
		t.Fatal("the request is not one that may be sent again")
	}
	l.dropKept()
	if r.buf == nil || !bytes.Equal(out, text) {
		t.Error("the request's buffer has been given back before it was written")
	}
	putRequest(used)
	if r.buf != nil {
		t.Error("the request's buffer has not been given back when it was written")
	}
}
