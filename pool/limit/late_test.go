package limit

import "testing"

// TestLateGuardDoesNotGrowUnseen: a server that does no more work whatever runs, and a guard on the same machine, which is late
// now and then because the processors are busy. Each step up must be looked at before the next.
func TestLateGuardDoesNotGrowUnseen(t *testing.T) {
	for late := 1; late <= 8; late++ {
		p := newPlant(NewAIMD(Config{}), 400)
		p.level, p.late = true, late
		most := 0
		for range 240 {
			most = max(most, p.step().Limit)
		}
		if most > 16 {
			t.Errorf("late in each of %d steps: the limit went to %d", late, most)
		}
	}
}
