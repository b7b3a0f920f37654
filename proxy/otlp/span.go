package otlp

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"

	"pgguard/proxy"
)

// The kinds of spans: what is done for a client, and a part of that.
const (
	kindInternal = 1
	kindServer   = 2
)

// span is one of OTLP's JSON.
type span struct {
	TraceID    string      `json:"traceId"`
	SpanID     string      `json:"spanId"`
	Parent     string      `json:"parentSpanId"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Start      string      `json:"startTimeUnixNano"`
	End        string      `json:"endTimeUnixNano"`
	Attributes []attribute `json:"attributes"`
	Status     *status     `json:"status,omitempty"`
}

type status struct {
	Code int `json:"code"` // 2: an error
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

type value struct {
	Text string `json:"stringValue"`
}

type resource struct {
	Attributes []attribute `json:"attributes"`
}

type scope struct {
	Name string `json:"name"`
}

func text(key, v string) attribute { return attribute{key, value{v}} }

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// newID is the number of a span.
func newID() string { return strconv.FormatUint(rand.Uint64()|1<<60, 16) }

// appendSpans appends the span of an exchange, and of its wait in it if it waited.
func appendSpans(list []span, s *proxy.Span) []span {
	attributes := []attribute{text("db.system.name", "postgresql"), text("server.address", s.Upstream), text("pgguard.class", s.Class)}
	begin := s.Started
	if !s.Offered.IsZero() {
		begin = s.Offered
	}
	if begin.IsZero() {
		begin = s.Ended
	}
	all := span{
		TraceID: hex.EncodeToString(s.Trace[:]), SpanID: newID(), Parent: hex.EncodeToString(s.Parent[:]), Name: "pgguard exchange", Kind: kindServer,
		Start: nanos(begin), End: nanos(s.Ended), Attributes: attributes,
	}
	until := s.Started
	if until.IsZero() {
		until, all.Status = s.Ended, &status{2}
	}
	list = append(list, all)
	if s.Offered.IsZero() {
		return list
	}
	return append(list, span{
		TraceID: all.TraceID, SpanID: newID(), Parent: all.SpanID, Name: "pgguard queue", Kind: kindInternal, Start: all.Start, End: nanos(until), Attributes: attributes[2:],
	})
}

// sendSpans sends what there is, as send does.
func (e *Exporter) sendSpans(ctx context.Context, spans []span) bool {
	if len(spans) == 0 {
		return true
	}
	type scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	type resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	return e.send(ctx, "traces", map[string][]resourceSpans{"resourceSpans": {{e.resource, []scopeSpans{{scope{"pgguard"}, spans}}}}})
}
