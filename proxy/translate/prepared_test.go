package translate

import "testing"

func TestPreparedForgetsTheOldest(t *testing.T) {
	var p prepared
	var all []*Statement
	for i := range 4 {
		st := &Statement{Name: string(rune('a' + i))}
		all = append(all, st)
		p.add(st, moment{})
	}
	p.has(all[0])
	if p.oldest.name != "b" {
		t.Error("the statement used last is the first to go")
	}
	p.remove("b")
	p.remove("d")
	if p.oldest.name != "c" || len(p.entries) != 2 || !p.has(all[0]) || p.has(all[3]) {
		t.Errorf("after removal: %d statements", len(p.entries))
	}
}
