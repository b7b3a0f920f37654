package matrix

import (
	"fmt"
	"math/rand/v2"
)

// pair is a value of one factor beside a value of a later one; values by their place.
type pair struct{ f, v, g, w int }

// candidates is how many cells are tried for each that is taken. With fewer the design has more cells; with more it does
// not get smaller.
const candidates = 200

// Pairs returns cells in which every pair of values of two factors occurs: whatever only two factors together bring about
// is seen with a few dozen of the thousands of cells. Those at the front have the most new pairs. It is the same every time.
func Pairs() []Cell {
	open := map[pair]bool{}
	for f := range numFactors {
		for g := f + 1; g < numFactors; g++ {
			for v := range Factors[f].Values {
				for w := range Factors[g].Values {
					open[pair{f, v, g, w}] = true
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	var cells []Cell
	for len(open) > 0 {
		var best [numFactors]int
		most := 0
		for range candidates {
			row := candidate(r, open)
			if n := news(row, open); n > most {
				best, most = row, n
			}
		}
		for _, p := range pairsOf(best) {
			delete(open, p)
		}
		if most == 0 {
			continue // every candidate was filled with what is covered: others are drawn
		}
		var values [numFactors]float64
		for f, v := range best {
			values[f] = Factors[f].Values[v]
		}
		c := cellOf(values)
		c.Name = fmt.Sprintf("pair %d", len(cells)+1)
		cells = append(cells, c)
	}
	return cells
}

// candidate fills the factors in a random order, each with the value that makes the most new pairs with those before it;
// of equals one by chance.
func candidate(r *rand.Rand, open map[pair]bool) [numFactors]int {
	var row [numFactors]int
	done := make([]int, 0, numFactors)
	for _, f := range r.Perm(numFactors) {
		most := -1
		for _, v := range r.Perm(len(Factors[f].Values)) {
			n := 0
			for _, g := range done {
				if open[ordered(f, v, g, row[g])] {
					n++
				}
			}
			if n > most {
				row[f], most = v, n
			}
		}
		done = append(done, f)
	}
	return row
}

func ordered(f, v, g, w int) pair {
	if f < g {
		return pair{f, v, g, w}
	}
	return pair{g, w, f, v}
}

// pairsOf are all pairs of a row.
func pairsOf(row [numFactors]int) []pair {
	var out []pair
	for f := range numFactors {
		for g := f + 1; g < numFactors; g++ {
			out = append(out, pair{f, row[f], g, row[g]})
		}
	}
	return out
}

// news counts the pairs of a row that are still open.
func news(row [numFactors]int, open map[pair]bool) int {
	n := 0
	for _, p := range pairsOf(row) {
		if open[p] {
			n++
		}
	}
	return n
}
