//go:build pg

package proxy

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/pgtest"
)

// A setting that the server reports while a request is to be sent again is told once, wherever it comes, and the request is sent again.
func TestSecondTryWhileSomethingElseIsTold(t *testing.T) {
	var (
		parsed = &pgproto3.ParseComplete{}
		bound1 = &pgproto3.BindComplete{}
		stale  = &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "0A000", Message: "cached plan must not change result type", Routine: "RevalidateCachedQuery"}
		zone   = &pgproto3.ParameterStatus{Name: "TimeZone", Value: "Asia/Tokyo"}
		other  = &pgproto3.ParameterStatus{Name: "TimeZone", Value: "Europe/Paris"}
		none   = &pgproto3.NoData{}
	)
	for name, says := range map[string][][]pgproto3.BackendMessage{
		"between its error and its end": {{stale}, {zone}, {idleNow}},
		"before its error":              {{zone, stale}, {idleNow}},
		"all in one":                    {{zone, stale, other, idleNow}},
		"twice between":                 {{stale}, {other}, {zone}, {idleNow}},
	} {
		t.Run(name, func(t *testing.T) {
			last := "Asia/Tokyo"
			if name == "all in one" {
				last = "Europe/Paris"
			}
			steps := []pgtest.Step{
				pgtest.Expect('P', "select * from t"), pgtest.Expect('S', ""), pgtest.Send(parsed, idleNow),
				pgtest.Expect('B', "__pgguard_"), pgtest.Expect('D', ""), pgtest.Expect('E', ""), pgtest.Expect('S', ""),
			}
			var gates []context.CancelFunc
			for _, list := range says {
				ctx, open := context.WithCancel(context.Background())
				gates = append(gates, open)
				steps = append(steps, pgtest.Hang(ctx), pgtest.Send(list...))
			}
			steps = append(steps, pgtest.Expect('P', "select * from t"), pgtest.Expect('B', "__pgguard_"), pgtest.Expect('D', ""), pgtest.Expect('E', ""),
				pgtest.Expect('S', ""), pgtest.Send(parsed, bound1, none, selected, idleNow), pgtest.WaitEOF())
			g, _ := fakeGuard(t, steps...)
			p, _ := enter(t, g.addr)
			p.play([]step{say("Z", parse("a", "select * from t"), msgSync)})
			p.said = nil
			p.write(say("", bound("", "a"), describe('P', ""), execute("", 0), msgSync).send)
			for i, open := range gates {
				switch { // each list is read by itself
				case i == 0:
				case i == 1:
					eventually(t, "the error was read", func() bool { return heals(g) })
				default:
					p.read("S")
				}
				open()
			}
			p.read("Z")
			got := strings.Join(p.lines(), "; ")
			if !strings.HasSuffix(got, "2; n; C SELECT 1; Z I") || strings.Contains(got, "0A000") || !strings.Contains(got, "S TimeZone") || strings.Count(got, last) != 1 {
				t.Errorf("got %s", got)
			}
		})
	}
}

// heals is true while the guard's only session holds back the error of a request that it is to send again.
func heals(g *guard) bool {
	g.keys.mu.Lock()
	defer g.keys.mu.Unlock()
	for _, o := range g.keys.owners {
		s := o.who.(*session)
		s.mu.Lock()
		is := s.link != nil && s.link.lease.Heals()
		s.mu.Unlock()
		if is {
			return true
		}
	}
	return false
}
