package difference

import "testing"

// Each line: what was in went before, what is there after a client has left directly and through the guard, and whether the guard
// may have done less.
func TestLessIsDoneOnlyFromSomePlaceOn(t *testing.T) {
	for _, c := range []struct {
		before, want, got string
		fewer, refuses    bool
	}{
		{"1", "1 2 3", "1 2", true, false},
		{"1", "1 2 3", "1", true, false},
		{"", "2", "", true, false},
		{"1", "1 2 3", "1 3", false, false},
		{"1", "1 2 3", "1 3", true, true},
		{"1", "1 2 3", "1 3 2", false, true},
		{"1 2", "1 2 3", "1", false, true},
		{"1", "1 2", "1 2 3", false, true},
		{"1", "1 2", "1 2", false, true},
		{"", "11", "1", false, true},
	} {
		said := func(now string) transcript {
			return transcript{lines: []string{atFirst + c.before + ")", leftBehind + now + "; in the other tables x)"}}
		}
		if got := fewer(said(c.want), said(c.got), 1, c.refuses); got != c.fewer {
			t.Errorf("before %q, direct %q, guard %q: got %t", c.before, c.want, c.got, got)
		}
	}
}

func TestWhatBreaksASessionIsSeen(t *testing.T) {
	for _, c := range []struct {
		lines []string
		cut   bool
		at    int
	}{
		{[]string{"(before: )", "(left behind: ; x)", "Z I", "(the connection is closed)"}, false, -1},
		{[]string{"(before: )", "(left behind: ; x)", "Z I", "(the connection is closed)"}, true, 3},
		{[]string{"(before: )", "(left behind: ; x)", "(before: 1)", "(left behind: 1; x)", "(nothing has come for 20s)"}, true, 4},
		{[]string{"(before: )", "(left behind: ; x)", "(the connection is closed)", "(remains: a lock)"}, false, 3},
	} {
		said := transcript{lines: c.lines, cut: c.cut}
		if got := said.broken(1); got != c.at {
			t.Errorf("%q: got %d, want %d", c.lines, got, c.at)
		}
	}
}

func TestHowFarAServerWasIsNoDifference(t *testing.T) {
	said := func(before, left string) transcript {
		return transcript{lines: []string{"Z T", atFirst + before + ")", leftBehind + left + "; x)"}}
	}
	if at := differs(said("4", "4 20 21"), said("4 20", "4 20 21")); at >= 0 {
		t.Errorf("a commit that ran later directly is a difference in line %d", at)
	}
	if at := differs(said("4", "4 20 21"), said("4 20", "4 20")); at != 2 {
		t.Errorf("what is left behind differs in line 2, said %d", at)
	}
	if at := differs(said("4", "4"), transcript{lines: []string{"Z T", "Z I", leftBehind + "4; x)"}}); at != 1 {
		t.Errorf("an answer for what was there differs in line 1, said %d", at)
	}
}
