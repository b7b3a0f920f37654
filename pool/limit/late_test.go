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

// TestWindowWithoutVotesHasTheLastLevel: a goal must not be made from the median of nothing.
func TestWindowWithoutVotesHasTheLastLevel(t *testing.T) {
	g := goal{level: 0.7}
	if r := g.of(&window{}); r != g.level {
		t.Errorf("R of a window without a vote is %.2f, want %.2f", r, g.level)
	}
}
