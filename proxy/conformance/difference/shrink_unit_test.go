package difference

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// soon is more time than shrinking takes when nothing is played.
const soon = time.Minute

func TestShrinkLeavesWhatItTakes(t *testing.T) {
	all := []script{generate(1), generate(2), generate(3)}
	all[0].steps = append(all[0].steps, simple("cause"))
	all[2].steps = slices.Insert(all[2].steps, 3, step{kind: client, messages: []message{flush, query("effect"), flush}})
	small, found := shrink(all, time.Now().Add(soon), func(all []script) bool {
		cause := strings.Index(format(all), "Query cause")
		return cause >= 0 && strings.Contains(format(all)[cause:], "Query effect")
	})
	want := "user app\n\nclient\n  Query cause\n\n---\n\nuser app\n\nclient\n  Query effect\n"
	for i := range small {
		small[i].user = "app"
	}
	if got := format(small); !found || got != want {
		t.Errorf("found %t\ngot\n%s\nwant\n%s", found, got, want)
	}
}

func TestShrinkSaysWhenItDoesNotFail(t *testing.T) {
	all := []script{generate(1)}
	small, found := shrink(all, time.Now().Add(soon), func([]script) bool { return false })
	if found || format(small) != format(all) {
		t.Errorf("found %t\n%s", found, format(small))
	}
}
