package limit

import "math"

const (
	// slowdown is what R is held at while elasticity cannot be measured: within 5 % of the best wherever there is a knee.
	slowdown = 2.5
	// quietRate is how much the lowest R rises in a second, so that one of long ago is forgotten.
	quietRate = 0.01 / 60
	// hearings is how many windows the goal is learned from after an experiment, with the limit held.
	hearings = 6
	// driftRate is how fast the average of R's distance from the goal follows a window: eight windows, four seconds or more.
	driftRate = 1.0 / 8
)

var logSlowdown = math.Log(slowdown)

// goal is what R, the slowdown that all statements have in common, is and should be.
type goal struct {
	level  float64 // R of the last window
	at     float64 // what R is held at
	quiet  float64 // R where it was lowest; the reference where elasticity cannot be measured
	known  bool    // the others mean something
	heard  int     // windows the goal was learned from
	pulled float64 // how far in ln L the limit was pulled since the goal was set
	drift  float64 // average of how far R was from the goal lately
}

// hear takes R from a window.
func (g *goal) hear(w *window) {
	if w.votes.total < enough {
		return
	}
	if g.level, _ = w.votes.median(); !g.known {
		g.known, g.at, g.quiet = true, g.level+logSlowdown, g.level
	}
}

// of is R of a window; where too few votes were cast in it, that of the last window that had enough.
func (g *goal) of(w *window) float64 {
	if w.votes.total < enough {
		return g.level
	}
	r, _ := w.votes.median()
	return r
}

// calm notes that a window of this length saw R.
func (g *goal) calm(length float64) { g.quiet = min(g.level, g.quiet+length*quietRate) }

// learn takes R of a window at the limit that is right into the goal; it says whether that was still to be done.
func (g *goal) learn() bool {
	if g.heard >= hearings {
		return false
	}
	g.heard++
	g.at += (g.level - g.at) / float64(g.heard)
	return true
}

// aim makes R the goal where elasticity is measured; where it cannot be, the goal stays what a healthy server gave.
func (l *law) aim(r float64) {
	g := &l.goal
	g.heard, g.pulled, g.drift = 0, 0, 0
	if !l.sight.trusted() {
		r = g.quiet + logSlowdown
	}
	g.at = r
}
