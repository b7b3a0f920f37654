package matrix

import (
	"reflect"
	"testing"
)

// TestEveryPairOfValuesOccurs: of any two factors, in a few dozen cells, the same every time.
func TestEveryPairOfValuesOccurs(t *testing.T) {
	cells := Pairs()
	if n := len(cells); n > 32 {
		t.Errorf("%d cells: an hour has room for a few dozen", n)
	}
	if !reflect.DeepEqual(cells, Pairs()) {
		t.Error("a second design differs")
	}
	for f := range numFactors {
		for g := range f {
			for _, v := range Factors[f].Values {
				for _, w := range Factors[g].Values {
					found := false
					for _, c := range cells {
						values := c.Values()
						found = found || values[f] == v && values[g] == w
					}
					if !found {
						t.Errorf("no cell with %s %v and %s %v", Factors[f].Name, v, Factors[g].Name, w)
					}
				}
			}
		}
	}
}

// TestDesignHasNoCellTwice, neither by name nor by its values; each has a name, and values that the factors know.
func TestDesignHasNoCellTwice(t *testing.T) {
	names, values := map[string]bool{}, map[string]bool{}
	for _, c := range Design(100) {
		if c.Name == "" || names[c.Name] || values[c.String()] {
			t.Errorf("%q, %s", c.Name, c)
		}
		names[c.Name], values[c.String()] = true, true
		if cellOf(c.Values()).String() != c.String() {
			t.Errorf("%s becomes %s by its values", c, cellOf(c.Values()))
		}
		if _, known := pressures[c.Workers]; !known {
			t.Errorf("%d workers have no rate", c.Workers)
		}
	}
	for _, n := range []string{"table 32", "table 128", "table 512", "table 1000"} {
		if !names[n] {
			t.Errorf("no %s", n)
		}
	}
}

// TestDesignIsFilledUp with cells that are drawn, up to all there are.
func TestDesignIsFilledUp(t *testing.T) {
	few, many := Design(0), Design(100)
	if len(many) != 100 || !reflect.DeepEqual(many[:len(few)], few) || !reflect.DeepEqual(many, Design(200)[:100]) {
		t.Errorf("%d cells", len(many))
	}
	combinations := 1
	for _, f := range Factors {
		combinations *= len(f.Values)
	}
	if n := len(Design(1 << 20)); n != combinations {
		t.Errorf("%d of %d cells", n, combinations)
	}
}
