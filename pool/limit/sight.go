package limit

import "time"

// How what the side channel saw is taken.
const (
	// stale is when a look of the side channel, which comes once a second, says nothing any more: two may have failed.
	stale = 3 * time.Second
	// shareTime is over how many seconds looks are averaged: five of them.
	shareTime = 5.0
	// leastShare is the part of the server's statements that must be ours for an experiment to say anything: at a
	// tenth, the error of what it says is ten times that of what was measured.
	leastShare = 0.1
	// leniency is how much harm to the work of all, in e, is put up with for the whole of the server's statements that are
	// strangers', and leniencyMost how much at most. Strangers do not give way: who counts what he takes from them as a loss
	// starves his own clients. Twice as much, and guards that do not know each other for guards crowd each other out (bench/sim).
	leniency     = 0.4
	leniencyMost = 0.16
	// newcomers is by how much the part of strangers must have grown to be the reason why everything is slower; statements
	// that come and go are a few hundredths. usedTo is after how many seconds strangers are no newcomers any more.
	newcomers = 0.15
	usedTo    = 60.0
	// someRun is how many of our statements must run for their part of all to be told.
	someRun = 0.5
)

// sight is what the side channel has told lately.
type sight struct {
	blocked float64 // of our running statements, those that wait for a lock
	part    float64 // the same, as a part of those that run
	share   float64 // our part of the statements on the server; 0: unknown
	strange float64 // the part of strangers
	crowd   float64 // the part of strangers that we are used to
	lwlock  float64 // the part of our statements that waits inside the server for its own locks
}

// look takes in the signals of a step. first says that nobody had looked before who else is there.
func (v *sight) look(s *Signals, length float64) (first bool) {
	v.blocked, v.part = 0, 0
	if !s.Sampled || s.SampleAge > stale {
		v.share = 0
		return false
	}
	v.blocked = float64(s.Blocked)
	slowly := min(1, length/shareTime)
	v.lwlock += (s.LWLock - v.lwlock) * slowly
	run := s.Run / length
	if run <= someRun {
		return false
	}
	v.part = min(1, v.blocked/run)
	all := run + float64(s.Peers) + float64(s.Foreign)
	share := run / all
	v.strange += (float64(s.Foreign)/all - v.strange) * slowly
	if first = v.share == 0; first {
		v.share = share
		v.strange = float64(s.Foreign) / all
		v.crowd = v.strange
	}
	v.crowd += (v.strange - v.crowd) * min(1, length/usedTo)
	v.share += (share - v.share) * slowly
	return first
}

// trusted says whether enough of what happens on the server is our doing for an experiment to say anything of it.
func (v *sight) trusted() bool { return v.share >= leastShare }

// crowded says whether strangers have come lately.
func (v *sight) crowded() bool { return v.strange > v.crowd+newcomers }

// guards is the part of the server's statements that other guards run.
func (v *sight) guards() float64 {
	if v.share == 0 {
		return 0
	}
	return max(0, 1-v.share-v.strange)
}

// corrected turns the elasticity of our work into that of the server's, when others share it: of a percent more of
// ours the server sees our share, and the rest of the gain is taken from the others. Beside strangers some of that is no loss.
func (v *sight) corrected(e, se float64) (float64, float64) {
	if !v.trusted() {
		return e, se
	}
	return (e-(1-v.share))/v.share + min(leniency*v.strange, leniencyMost), se / v.share
}

// alone is how much of what happens on the server is told by what happens to us: 1 where nobody else is there, or known to be.
func (v *sight) alone() float64 {
	if v.share == 0 {
		return 1
	}
	return v.share * v.share
}
