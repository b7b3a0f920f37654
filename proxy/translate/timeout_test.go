package translate

import (
	"testing"
	"time"
)

func TestPatienceIsTheStatementTimeout(t *testing.T) {
	for _, c := range []struct {
		began, set string
		want       time.Duration
	}{
		{"", "", 0},
		{"", "1500", 1500 * time.Millisecond},
		{"2s", "", 2 * time.Second},
		{"2s", "300", 300 * time.Millisecond},
		{"2s", "0", 0}, // none is none, whatever the session began with
		{"1.5min", "", 90 * time.Second},
		{" 20 ms ", "", 20 * time.Millisecond},
		{"2 fortnights", "", 0},
		{"99999999d", "", 0},
		{"0", "", 0},
	} {
		terms := Terms{}
		if c.began != "" {
			terms.Began = []Pair{{"statement_timeout", c.began}}
		}
		client := NewClient(&terms)
		if c.set != "" {
			client.Set(NewSettings([]Pair{{"statement_timeout", c.set}}))
		}
		if got := client.Patience(); got != c.want {
			t.Errorf("began with %q, set to %q: %s, want %s", c.began, c.set, got, c.want)
		}
	}
}
