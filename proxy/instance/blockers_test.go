package instance

import (
	"maps"
	"testing"
)

func TestRootsHoldUpAllBehindThem(t *testing.T) {
	for name, c := range map[string]struct {
		before map[int32][]int32
		want   map[int32]int
	}{
		"nobody":                     {nil, map[int32]int{}},
		"one row, in a line":         {map[int32][]int32{2: {1}, 3: {1, 2}, 4: {2, 3}}, map[int32]int{1: 3}},
		"only the one before":        {map[int32][]int32{2: {1}, 3: {2}, 4: {3}}, map[int32]int{1: 3}},
		"two holders":                {map[int32][]int32{2: {1, 9}, 3: {9}}, map[int32]int{1: 1, 9: 2}},
		"a circle, until it is seen": {map[int32][]int32{2: {3}, 3: {2}}, map[int32]int{}},
		"a circle behind a holder":   {map[int32][]int32{2: {3, 1}, 3: {2}}, map[int32]int{1: 2}},
		"a prepared transaction":     {map[int32][]int32{2: {0}, 3: {0}}, map[int32]int{0: 2}},
	} {
		if got := roots(c.before); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
