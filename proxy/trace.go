package proxy

import (
	"encoding/hex"
	"time"

	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
)

// Span is one exchange of a client whose statement has a comment that names a trace which is sampled (traceparent, as sqlcommenter writes it).
type Span struct {
	Trace    [16]byte
	Parent   [8]byte
	Offered  time.Time // when it began to wait for a server; zero: it did not
	Started  time.Time // when it was sent; zero: it was refused
	Ended    time.Time
	Class    string
	Upstream string

	seen time.Time
}

// sampledFlag is the bit of a traceparent's flags that says that the trace is kept.
const sampledFlag = 1

// spanOf returns the span of a statement, nil if its comment names no trace, or one that is not kept.
func spanOf(text []byte) *Span {
	value, ok := sql.Tag(text, "traceparent")
	if !ok || len(value) < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-' || string(value[:2]) == "ff" {
		return nil
	}
	var s Span
	var flags [1]byte
	if _, err := hex.Decode(s.Trace[:], value[3:35]); err != nil {
		return nil
	}
	if _, err := hex.Decode(s.Parent[:], value[36:52]); err != nil {
		return nil
	}
	if _, err := hex.Decode(flags[:], value[53:55]); err != nil || flags[0]&sampledFlag == 0 || s.Trace == [16]byte{} || s.Parent == [8]byte{} {
		return nil
	}
	return &s
}

// trace looks for a trace in the comment of a message's statement. before is the state in which it came: of what is sent on in one exchange the first counts.
func (s *session) trace(m *translate.Message, before state) {
	span := spanOf(s.textOf(m))
	if span != nil {
		span.seen = time.Now()
		span.Upstream = s.route.inst.Name()
	}
	s.mu.Lock()
	if before != running || s.span == nil {
		s.span = span
	}
	s.mu.Unlock()
}

// tracedLocked hands over the span of an exchange that has ended, if somebody takes it at once. started is zero if it was refused. It is called with mu held.
func (s *session) tracedLocked(started, now time.Time) {
	span := s.span
	s.span = nil
	if !s.offered.Before(span.seen) {
		span.Offered = s.offered
	}
	span.Started, span.Ended, span.Class = started, now, s.srv.cfg().Pool.Classes[s.class].Name
	select {
	case s.srv.cfg().Spans <- *span:
	default: // whoever takes them is behind: a trace without this one is better than a statement that waits
	}
}
