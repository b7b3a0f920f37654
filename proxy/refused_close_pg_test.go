//go:build pg

package proxy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCloseIsNeverRefused: PostgreSQL does not refuse a Close, and drivers do not expect it. While nobody gets a server, a session without
// one gets the answer at once; one that keeps its server gets it when there is a token, however short the others may wait.
func TestCloseIsNeverRefused(t *testing.T) {
	prepared := say("Z", parse("s", "select 1"), parse("other", "select 2"), msgSync)
	long := strings.Repeat("n", 80)
	const refused, ready = "E 53300", "Z I"
	for what, c := range map[string]struct {
		before []step
		send   []step
		want   []string
		waits  bool
	}{
		"unknown":           {nil, []step{say("Z", closes('S', "none"), msgSync)}, []string{"3", ready}, false},
		"its own":           {[]step{prepared}, []step{say("Z", closes('S', "s"), msgSync)}, []string{"3", ready}, false},
		"all, and a portal": {[]step{prepared}, []step{say("Z", closes('S', "s"), closes('P', ""), closes('S', "other"), msgSync)}, []string{"3", "3", "3", ready}, false},
		"the unnamed":       {batches("select 1"), []step{say("Z", closes('S', ""), msgSync)}, []string{"3", ready}, false},
		"by SQL":            {queries("prepare s as select 1"), []step{say("Z", closes('S', "s"), msgSync)}, []string{"3", ready}, false},
		"a long name":       {[]step{say("Z", parse(long, "select 1"), msgSync)}, []step{say("Z", closes('S', long), msgSync)}, []string{"3", ready}, false},
		"flushed":           {[]step{prepared}, []step{say("3", closes('S', "s"), msgFlush), say("Z", msgSync)}, []string{"3", ready}, false},
		"in two writes":     {[]step{prepared}, []step{say("3", closes('S', "s")), say("Z", msgSync)}, []string{"3", ready}, false},
		"byte by byte":      {[]step{prepared}, []step{{send: append(closes('S', "s"), msgSync...), until: "Z", each: 1}}, []string{"3", ready}, false},
		"begun":             {append([]step{prepared}, queries("begin")...), []step{say("Z", closes('S', "s"), msgSync)}, []string{"3", "Z T"}, false},
		"failed": {
			append([]step{prepared}, queries("begin")...), append(queries("select 1"),
				say("Z", closes('S', "s"), msgSync), say("Z", closes('S', "s"), parse("", "select 1"), msgSync)),
			[]string{refused, "Z E", "3", "Z E", "3", "E 25P02", "Z E"}, false,
		},
		"before others": {[]step{prepared}, []step{say("Z", closes('S', "s"), parse("", "select 1"), msgSync)}, []string{"3", refused, ready}, false},
		"more than a request has": {
			[]step{prepared}, []step{say("Z", []byte(strings.Repeat(string(closes('S', "s")), 700)), parse("", "select 1"), msgSync)},
			append(slices.Repeat([]string{"3"}, 700), refused, ready), false,
		},
		"kept": {append([]step{prepared}, queries("create temporary table tt (a int)")...), []step{say("Z", closes('S', "s"), msgSync)}, []string{"3", ready}, true},
	} {
		t.Run(what, func(t *testing.T) {
			g := crowded(t, 100*time.Millisecond, 100)
			p, _ := enter(t, g.addr)
			p.play(c.before)
			release := g.hold(t)
			var said []string
			if c.waits {
				p.write(c.send[0].send)
				impatient, _ := enter(t, g.addr)
				eventually(t, "who came later refused", func() bool {
					return strings.Contains(strings.Join(impatient.play(queries("select 1")), " "), "53300")
				})
				release()
				p.read(c.send[0].until)
				said = p.lines()
			} else {
				said = p.play(c.send)
				release()
			}
			var got []string
			for _, line := range said {
				switch code := strings.Index(line, " C"); {
				case strings.HasPrefix(line, "--"):
				case strings.HasPrefix(line, "E ") && code > 0:
					got = append(got, "E "+line[code+2:code+7])
				default:
					got = append(got, strings.TrimSpace(line))
				}
			}
			compare(t, c.want, got)
			if said := p.play([]step{say("Z", bound("", "s"), msgSync)}); !strings.Contains(strings.Join(said, " "), "C26000") && !strings.HasPrefix(what, "failed") {
				t.Errorf("s is still there: %q", said)
			}
		})
	}
}
