package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"pgguard/bench/report"
)

// FitSizes are the fixed limits at which a server is measured for its fit.
var FitSizes = []int{1, 2, 4, 8, 16, 32}

// Point is what a server did at one fixed limit.
type Point struct {
	N         int     `json:"n"`
	PerSecond float64 `json:"per_s"`
}

// USL is Gunther's universal scalability law: n statements at once do Lambda·n / (1 + Sigma·(n-1) + Kappa·n·(n-1)) a second.
type USL struct {
	Lambda float64 `json:"lambda"` // what one alone does
	Sigma  float64 `json:"sigma"`  // for what must go in turns
	Kappa  float64 `json:"kappa"`  // for what everybody does with everybody
}

// At is what n statements at once do in a second.
func (u USL) At(n int) float64 {
	x := float64(n)
	return u.Lambda * x / (1 + u.Sigma*(x-1) + u.Kappa*x*(x-1))
}

// Error is the mean distance of the points from the law, as a share of them.
func (u USL) Error(points []Point) float64 {
	sum := 0.0
	for _, p := range points {
		sum += math.Abs(u.At(p.N)/p.PerSecond - 1)
	}
	return sum / float64(len(points))
}

// FitUSL returns the law with the least squares of relative distances of n by what n do in a second, which is linear in 1,
// n-1 and n(n-1). No factor is below 0: what would be, is left out.
func FitUSL(points []Point) (USL, error) {
	sizes := map[int]bool{}
	for _, p := range points {
		if p.N < 1 || p.PerSecond <= 0 {
			return USL{}, fmt.Errorf("fit: %d at once did %g a second", p.N, p.PerSecond)
		}
		sizes[p.N] = true
	}
	if len(sizes) < 3 {
		return USL{}, errors.New("fit: fewer than three sizes say nothing about a curve")
	}
	terms := []func(n float64) float64{
		func(float64) float64 { return 1 }, func(n float64) float64 { return n - 1 }, func(n float64) float64 { return n * (n - 1) },
	}
	use := []int{0, 1, 2}
	for {
		x, ok := leastSquares(points, terms, use)
		if !ok || x[0] <= 0 {
			return USL{}, errors.New("fit: no curve goes through the points")
		}
		if i := slices.IndexFunc(x, func(v float64) bool { return v < 0 }); i > 0 {
			use = slices.Delete(use, i, i+1)
			continue
		}
		u := USL{Lambda: 1 / x[0]}
		for i, term := range use {
			switch term {
			case 1:
				u.Sigma = x[i] / x[0]
			case 2:
				u.Kappa = x[i] / x[0]
			}
		}
		return u, nil
	}
}

// leastSquares fits the terms in use to n by what n do, each point weighted by what it is compared with.
func leastSquares(points []Point, terms []func(float64) float64, use []int) ([]float64, bool) {
	k := len(use)
	a := make([][]float64, k) // the normal equations, with the right side as the last column
	for i := range a {
		a[i] = make([]float64, k+1)
	}
	for _, p := range points {
		n := float64(p.N)
		y := n / p.PerSecond
		for i, ti := range use {
			for j, tj := range use {
				a[i][j] += terms[ti](n) * terms[tj](n) / (y * y)
			}
			a[i][k] += terms[ti](n) / y
		}
	}
	return solve(a)
}

// solve is Gauss's elimination with pivots; it reports whether there is one solution. It overwrites a.
func solve(a [][]float64) ([]float64, bool) {
	k := len(a)
	for c := range k {
		pivot := c
		for r := c + 1; r < k; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[pivot][c]) {
				pivot = r
			}
		}
		if a[c], a[pivot] = a[pivot], a[c]; a[c][c] == 0 {
			return nil, false
		}
		for r := range k {
			if r == c {
				continue
			}
			f := a[r][c] / a[c][c]
			for i := c; i <= k; i++ {
				a[r][i] -= f * a[c][i]
			}
		}
	}
	x := make([]float64, k)
	for i := range x {
		x[i] = a[i][k] / a[i][i]
	}
	return x, true
}

// StatementFit is the curve of statements of one cost.
type StatementFit struct {
	Cost   float64 `json:"cost_ms"`
	Points []Point `json:"points"`
	Curve  USL     `json:"curve"`
	Error  float64 `json:"error"`
}

// Fit is a server as the simulator can have it.
type Fit struct {
	Written    time.Time      `json:"written"`
	Machine    report.Machine `json:"machine"`
	Statements []StatementFit `json:"statements"`
	Update     float64        `json:"update_ms"` // of one row by its key, alone
	Flush      float64        `json:"flush_ms"`  // what a commit waits for the disk, alone
}

// Of returns the curve of statements of a cost.
func (f *Fit) Of(cost float64) (USL, error) {
	for _, s := range f.Statements {
		if s.Cost == cost {
			return s.Curve, nil
		}
	}
	return USL{}, fmt.Errorf("nothing is fitted for statements of %g ms", cost)
}

// Save writes the fit as JSON.
func (f *Fit) Save(path string) error {
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("encode the fit: %w", err)
	}
	return write(path, append(b, '\n'))
}

// LoadFit reads what Save wrote.
func LoadFit(path string) (*Fit, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the fit: %w", err)
	}
	f := &Fit{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	return f, nil
}
