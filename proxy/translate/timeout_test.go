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

// TestHasteOfTimeouts: one that is long enough is not feared, in whatever unit a start-up packet gives it; one that is short, or not understood, is.
func TestHasteOfTimeouts(t *testing.T) {
	for value, want := range map[string]haste{
		"0": patient, "0s": patient, "0.4": patient, "0.6": hasty, "600us": hasty, "400us": patient, "1": hasty, "999": hasty, "999.6": patient, "1000": patient, "0.9s": hasty, "1s": patient, "30s": patient, " 2 min ": patient,
		"1h": patient, "": hasty, "-1": hasty, "soon": hasty, "2 fortnights": hasty, "99999999999": hasty,
	} {
		for _, name := range []string{"statement_timeout", "transaction_timeout"} {
			if got := hasteOf(name, value); got != want {
				t.Errorf("%s = %q: %d, want %d", name, value, got, want)
			}
		}
	}
	if got := hasteOf("lock_timeout", "1"); got != unhurried {
		t.Errorf("lock_timeout ends no query of the guard's: %d", got)
	}
}
