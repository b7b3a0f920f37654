//go:build pg

package proxy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgguard/pool/queue"
)

const (
	traced   = "4bf92f3577b34da6a3ce929d0e0e4736"
	inATrace = " /*action='show',traceparent='00-" + traced + "-00f067aa0ba902b7-01'*/"
)

func TestSpanIsOfASampledTrace(t *testing.T) {
	for text, want := range map[string]bool{
		"select 1" + inATrace: true,
		"/*traceparent='00-" + traced + "-00f067aa0ba902b7-01'*/ select":         true,
		"select 1 /*traceparent:00-" + traced + "-00f067aa0ba902b7-03*/":         true,
		strings.Replace("select 1"+inATrace, "-01'", "-00'", 1):                  false,
		strings.Replace("select 1"+inATrace, "00-4", "ff-4", 1):                  false,
		strings.Replace("select 1"+inATrace, "4bf9", "4bgg", 1):                  false,
		strings.Replace("select 1"+inATrace, traced, strings.Repeat("0", 32), 1): false,
		"select 1 /*traceparent='00-short-01'*/":                                 false,
		"select 1":                                                               false,
		"":                                                                       false,
	} {
		if got := spanOf([]byte(text)); (got != nil) != want || got != nil && (got.Trace[0] != 0x4b || got.Parent[7] != 0xb7) {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// TestSpansTellOfWaitAndExchange: of a statement that ran, waited, or was refused, by either protocol; not of the next one, which is in no trace.
func TestSpansTellOfWaitAndExchange(t *testing.T) {
	spans := make(chan Span, 100)
	g := newGuard(t, address(shared), func(c *Config) {
		c.Limit, c.Pool.MaxServers, c.Rules, c.Spans = 1, 8, nil, spans
		c.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: time.Minute, MaxLength: 1, MaxShare: 1}}
	})
	p, _ := enter(t, g.addr)
	batch := slices.Concat(parse("", "select 7"+inATrace), bound("", ""), execute("", 0), msgSync)
	for name, send := range map[string][]byte{"simple": simple("select 7" + inATrace), "extended": batch} {
		p.write(send)
		p.read("Z")
		p.ask("select 8")
		span := <-spans
		if span.Started.IsZero() || span.Ended.Before(span.Started) || span.Class != "high" || span.Upstream != g.pool().Name || len(spans) != 0 {
			t.Errorf("%s: %+v, and %d more", name, span, len(spans))
		}
	}
	release := g.hold(t)
	p.write(simple("select 7" + inATrace))
	eventually(t, "it waiting", func() bool { return g.Stats().Clients["waiting"] == 1 })
	other, _ := enter(t, g.addr)
	if got := other.ask("select 7" + inATrace); !strings.Contains(got[0], "C53400") {
		t.Errorf("%q", got)
	}
	if span := <-spans; !span.Started.IsZero() || span.Offered.IsZero() {
		t.Errorf("refused: %+v", span)
	}
	release()
	p.read("Z")
	if span := <-spans; span.Offered.IsZero() || !span.Started.After(span.Offered) {
		t.Errorf("waited: %+v", span)
	}
	p.ask("begin")
	p.ask("select 1" + inATrace)
	p.ask("select 2" + inATrace)
	p.ask("commit")
	for range 2 {
		if span := <-spans; span.Ended.IsZero() {
			t.Errorf("%+v", span)
		}
	}
	if len(spans) != 0 {
		t.Errorf("%+v", <-spans)
	}
}
