package scenario

// Operator is the person who adds workers while the backlog grows, which is what the graphs say one should do.
// The zero value adds nobody.
type Operator struct {
	Step int // workers added at a time
	Max  int // workers there are at most
	last int // backlog at the decision before
}

// Decide returns how many workers there should be, at regular intervals, from how many there are and how many jobs
// wait. It adds when the backlog has grown since the last decision and is more than one job per worker.
func (o *Operator) Decide(workers, backlog int) int {
	grown := backlog > o.last
	o.last = backlog
	if !grown || backlog <= workers || workers >= o.Max {
		return workers
	}
	return min(workers+o.Step, o.Max)
}
