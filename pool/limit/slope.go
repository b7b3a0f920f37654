package limit

import (
	"math"
	"time"
)

// Slope steers by elasticity alone: it goes to and fro around the limit all the time and moves to where a percent more
// concurrency brings Tuning.Price percent more work. Growth, brake and floor are AIMD's. It does not ship: bench/sim/NOTES.md has
// the comparison.
type Slope struct{ law }

// NewSlope returns the law at its first limit.
func NewSlope(c Config) *Slope {
	s := &Slope{newLaw(c)}
	s.slope = &dither{width: s.t.Dither, variance: ignorance}
	return s
}

// dither is Slope's state: a cycle of four windows, high, low, low, high, so that a drift cancels.
type dither struct {
	centre   float64 // the limit around which it goes; 0: not begun
	width    float64 // half the distance in ln L
	stage    int
	high     window
	low      window
	estimate float64 // e
	variance float64
	calm     int // cycles without a move
	resting  int // windows of rest left
}

// dithered takes in a window of the steady state.
func (l *law) dithered(now time.Time, win *window) Reason {
	d := l.slope
	if d.resting > 0 {
		d.resting--
		l.world.note(win)
		if off := l.goal - l.level; math.Abs(off) > l.t.Surprise {
			d.resting, d.variance = 0, ignorance
		}
		return ""
	}
	if d.centre == 0 || math.Abs(math.Log(l.limit/d.centre)) > d.width+0.2 {
		*d = dither{centre: l.limit, width: l.t.Dither, variance: ignorance}
		return l.ditherTo(1)
	}
	if d.stage == 0 || d.stage == 3 {
		d.high.add(win)
	} else {
		d.low.add(win)
	}
	if d.stage++; d.stage < 4 {
		return l.ditherTo([]float64{1, -1, -1, 1}[d.stage])
	}
	e, se, ok := elasticity(&d.low, &d.high, &l.world)
	d.stage, d.high, d.low = 0, window{}, window{}
	if ok {
		if e, se, ok = l.corrected(e, se); !ok && e <= 0 {
			ok = true // a loss is a loss, whoever gains
		}
	}
	if ok {
		d.variance += l.t.Drift * 4
		k := d.variance / (d.variance + se*se)
		d.estimate += k * (e - d.estimate)
		d.variance *= 1 - k
		l.ditherMove()
	}
	l.goal = l.level
	if d.calm >= 3 {
		d.resting = 8 // two cycles in three
		l.move(d.centre)
		return ReasonSlope
	}
	return l.ditherTo(1)
}

// ditherMove goes a step along the slope if it is sure of it.
func (l *law) ditherMove() {
	d := l.slope
	off := d.estimate - l.t.Price
	if math.Abs(off) <= 1.64*math.Sqrt(d.variance) {
		d.calm++
		d.width = min(d.width*1.2, 0.3)
		return
	}
	d.calm = 0
	d.width = l.t.Dither
	step := math.Log(1.25) * math.Tanh(off/0.25)
	if d.estimate < -0.3 {
		step = -math.Ln2
	}
	before := d.centre
	if d.centre *= math.Exp(step); math.Abs(d.centre-before) < 1 {
		d.centre = before + math.Copysign(1, step)
	}
	d.centre = max(d.centre, l.t.Floor)
	// The estimate belongs to the old place; elasticity falls by about one in a factor of e.
	d.estimate -= math.Log(d.centre / before)
	d.variance += 0.02
}

// ditherTo sets the limit above (1) or below (-1) the centre, at least one statement apart.
func (l *law) ditherTo(side float64) Reason {
	d := l.slope
	to := max(1, d.centre*math.Exp(side*d.width))
	if math.Abs(to-d.centre) < 0.5 {
		to = max(1, d.centre+side*0.5)
	}
	if math.Round(to) != math.Round(l.limit) {
		l.disturbed()
	}
	l.limit = to
	l.win = window{}
	return ReasonSlope
}
