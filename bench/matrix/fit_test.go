package matrix

import (
	"math"
	"path/filepath"
	"reflect"
	"testing"
)

func TestFitFindsTheLawItsPointsComeFrom(t *testing.T) {
	for _, want := range []USL{{900, 0.35, 0.01}, {50, 0, 0.002}, {4000, 0.6, 0}, {10, 0, 0}} {
		var points []Point
		for _, n := range FitSizes {
			points = append(points, Point{n, want.At(n)})
		}
		got, err := FitUSL(points)
		if err != nil || math.Abs(got.Lambda/want.Lambda-1) > 1e-6 || math.Abs(got.Sigma-want.Sigma) > 1e-6 || math.Abs(got.Kappa-want.Kappa) > 1e-6 {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		if e := got.Error(points); e > 1e-6 {
			t.Errorf("%+v: error %v", want, e)
		}
	}
}

// TestFitHasNoFactorBelowZero: what grows faster than it can is a straight line, and noise bends nothing upwards.
func TestFitHasNoFactorBelowZero(t *testing.T) {
	for _, points := range [][]Point{
		{{1, 100}, {2, 230}, {4, 480}, {8, 1000}},
		{{1, 500}, {2, 960}, {4, 1010}, {8, 990}, {16, 1020}, {32, 1015}},
	} {
		u, err := FitUSL(points)
		if err != nil || u.Sigma < 0 || u.Kappa < 0 || u.Lambda <= 0 {
			t.Errorf("%+v, %v", u, err)
		}
		if e := u.Error(points); e > 0.15 {
			t.Errorf("%+v is %v away", u, e)
		}
	}
}

func TestFitRefusesPointsThatSayNothing(t *testing.T) {
	for _, points := range [][]Point{nil, {{1, 0}}, {{0, 5}}, {{4, 100}}, {{1, 5}, {4, 100}, {4, 90}}} {
		if u, err := FitUSL(points); err == nil {
			t.Errorf("%v: %+v", points, u)
		}
	}
}

func TestFitComesBackAsItWasSaved(t *testing.T) {
	f := &Fit{Statements: []StatementFit{{Cost: 1.5, Points: []Point{{1, 2}}, Curve: USL{1, 2, 3}}}, Update: 0.1, Flush: 0.5}
	path := filepath.Join(t.TempDir(), "fit.json")
	if err := f.Save(path); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadFit(path); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("%+v, %v", got, err)
	}
	if u, err := f.Of(1.5); err != nil || u.Kappa != 3 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := f.Of(5); err == nil {
		t.Error("a cost that was not fitted has a curve")
	}
}
