package instance

import (
	"fmt"
	"testing"
)

// Where there are more entries than one look is about, each has its turn: what has changed for a login is seen in bounded time.
func TestEachEntryHasItsTurnToBeLookedAt(t *testing.T) {
	in := learner(t, "")
	const entries = 4 * lookOnce
	for i := range entries {
		in.Entry("shop", fmt.Sprint("tenant", i))
	}
	for round := range 3 {
		seen := map[*Entry]bool{}
		for range entries / lookOnce {
			list, _ := in.entriesToLookAt(false, "UTF8")
			for _, e := range list {
				seen[e] = true
			}
		}
		if len(seen) != entries {
			t.Errorf("round %d: %d of %d entries were looked at", round, len(seen), entries)
		}
	}
}
