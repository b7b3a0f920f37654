package diagnosis

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestJudgeSaysSomethingWhateverItIsShown holds that no sight makes it panic, forget who it speaks of, or be sure of more than all.
func TestJudgeSaysSomethingWhateverItIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := func(name string) int { return rapid.IntRange(0, 40).Draw(t, name) }
		var j Judge
		at := time.Unix(1_700_000_000, 0)
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			at = at.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			s := Sight{At: at, Database: "db", Up: rapid.Bool().Draw(t, "up"), Breaker: rapid.SampledFrom([]string{"closed", "open", "half-open", "ramp"}).Draw(t, "breaker"),
				Error: rapid.String().Draw(t, "error"), Cap: small("cap"), Limit: small("limit"), Lent: small("lent"), Running: small("running"), Sampled: rapid.Bool().Draw(t, "sampled"),
				Waits: Waits{CPU: small("cpu"), Lock: small("lock")}, Foreign: small("foreign"), Most: small("most"), Others: small("others"),
				RoundTrip: time.Duration(small("trip")) * time.Millisecond, Guard: Guard{Cores: float64(small("cores")), Used: float64(small("used"))},
				Classes: []Class{{Name: "web", Waiting: small("waiting"), Oldest: time.Duration(small("oldest")) * time.Second, Refused: uint64(small("refused"))}},
				Crowds:  []Crowd{{Application: rapid.String().Draw(t, "application"), Idling: small("idling"), Unread: small("unread"), Oldest: time.Duration(small("idle")) * time.Second}},
				Prints:  []Print{{Fingerprint: 1, Calls: uint64(small("calls")), Seconds: float64(small("seconds"))}},
			}
			if rapid.Bool().Draw(t, "held") {
				s.Holder = &Holder{PID: 7, Blocks: small("blocks"), Named: Named{Called: rapid.String().Draw(t, "called")}}
			}
			v := j.Judge(s)
			if rank(v.State) == len(States) || v.Sentence == "" || v.Cause == "" || v.Confidence <= 0 || v.Confidence > 1 || v.Since.After(at) || v.Since.IsZero() {
				t.Fatalf("%+v", v)
			}
			if !v.State.Healthy() && v.Advice == "" {
				t.Fatalf("no advice: %+v", v)
			}
		}
	})
}
