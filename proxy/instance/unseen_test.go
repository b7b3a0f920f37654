package instance

import (
	"testing"

	"pgguard/proxy/translate"
)

// TestUnseenIsReadOnceAndAfterChanges: by one, who is told to; until he has, nobody knows, and what changes meanwhile is read again.
func TestUnseenIsReadOnceAndAfterChanges(t *testing.T) {
	in := learner(t, "")
	c := in.Catalog("shop")
	if read, _ := c.ReadUnseen(); read || c.Unseen() {
		t.Error("of a server that the side channel has not seen it is read")
	}
	in.sees.Store(true)
	read, changes := c.ReadUnseen()
	if again, _ := c.ReadUnseen(); !read || again || !c.Unseen() {
		t.Errorf("it is read: %v, twice: %v, may be: %v", read, again, c.Unseen())
	}
	c.Ran([]translate.Way{{Function: "f", Body: "set work_mem = 1"}}, changes)
	if again, _ := c.ReadUnseen(); again || c.Unseen() {
		t.Error("it is read again, or a function that is only called by its name runs unseen")
	}
	for text, functions := range map[string]bool{"create view v as select f()": true, "drop function g()": true, "create temporary table t (a int)": false} {
		if got := c.Changed([]byte(text)); got != functions {
			t.Errorf("%s changes what is unseen: %v", text, got)
		}
	}
	_, changes = c.ReadUnseen()
	c.Committed(true)
	c.Ran([]translate.Way{{Function: "f", By: "trigger t on table t", Body: "set work_mem = 1"}}, changes)
	if read, _ = c.ReadUnseen(); !read || !c.Unseen() || c.Opaque(true) {
		t.Errorf("it is read again after a commit: %v, may be: %v, opaque: %v", read, c.Unseen(), c.Opaque(true))
	}
}

// TestWhatRunsUnseen: by what depends on it, or because its name is one that is not asked about; what is read also says whether its names are known.
func TestWhatRunsUnseen(t *testing.T) {
	for _, c := range []struct {
		way         translate.Way
		may, opaque bool
	}{
		{translate.Way{Function: "mine"}, false, false},
		{translate.Way{Function: "mine", By: "view v"}, true, false},
		{translate.Way{Function: "st_mine"}, true, false},
		{translate.Way{Function: "upper"}, true, false},
		{translate.Way{Function: "mine", By: "view v", Body: "perform set_config(x, '', false)"}, true, true},
		{translate.Way{Function: "mine", Body: "perform set_config(x, '', false)"}, false, false},
		{translate.Way{By: "view v"}, true, false},
	} {
		in := learner(t, "")
		in.sees.Store(true)
		cat := in.Catalog("shop")
		_, changes := cat.ReadUnseen()
		if cat.Ran([]translate.Way{c.way}, changes); cat.Unseen() != c.may || cat.Opaque(true) != c.opaque {
			t.Errorf("%v: may be: %v, opaque: %v", c.way, cat.Unseen(), cat.Opaque(true))
		}
	}
}
