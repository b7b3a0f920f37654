package translate

import "testing"

func TestPreparedForgetsTheOldest(t *testing.T) {
	var p prepared
	var all []*Statement
	for range 4 {
		st := &Statement{}
		all = append(all, st)
		p.add(st, moment{})
	}
	p.has(all[0])
	if p.last() != all[1] {
		t.Error("the statement used last is the first to go")
	}
	p.remove(all[1])
	p.remove(all[3])
	if p.last() != all[2] || len(p.entries) != 2 || !p.has(all[0]) || p.has(all[3]) {
		t.Errorf("after removal: %d statements", len(p.entries))
	}
}
