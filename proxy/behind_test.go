package proxy

import (
	"testing"

	"pgguard/proxy/sock"
)

// TestRequestBehindOneThatWaitsAgainWaits: the first part of a batch is taken back from a server that is told to go, to be sent to another, just when the next part has been read.
// What was read stays where it is, and what was sent first goes first.
func TestRequestBehindOneThatWaitsAgainWaits(t *testing.T) {
	for _, before := range []state{running, queued} {
		for _, at := range []state{queued, preparing, awaiting} {
			first := getRequest()
			s := &session{srv: &Server{}, state: at, pending: pending{request: first}, in: sock.Borrow()}
			from := s.in.R
			s.in.W = from + 100
			if err := s.send(getRequest(), s.in.W, before); err != nil {
				t.Error(err)
			}
			if s.request != first || s.in == nil || s.in.R != from || s.state != at {
				t.Errorf("read while %s, sent while %s: the request that waits has been replaced, or what was read is gone", before, at)
			}
		}
	}
}
