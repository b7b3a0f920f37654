package diagnosis

import (
	"maps"
	"slices"
	"time"
)

// How incidents are made.
const (
	// quiet is for how long nothing must have been wrong for an incident to be over: what comes again within half a minute is the same.
	quiet = 30 * time.Second
	// maxIncidents is how many are kept, and maxTurns how many changes of the verdict of each; of more, the last are left out.
	maxIncidents = 100
	maxTurns     = 40
)

// Incident is a time in which something was wrong with one database. Its JSON names are part of the public surface.
type Incident struct {
	Number   int       `json:"number"` // 1, 2, 3… since the guard started
	Database string    `json:"database"`
	Begin    time.Time `json:"begin"`
	End      time.Time `json:"end,omitzero"` // zero: it goes on
	// What was wrong for longest, as it was said when most waited.
	State    State   `json:"state"`
	Cause    string  `json:"cause"`
	Sentence string  `json:"sentence"`
	Advice   string  `json:"advice"`
	Culprit  Culprit `json:"culprit"`
	Peak     Peak    `json:"peak"`
	// Refused is who was refused how often, by class and then reason.
	Refused map[string]map[string]uint64 `json:"refused"`
	// Turns are the changes of the verdict, the first one first; MoreTurns is how many more there were.
	Turns     []Turn `json:"turns"`
	MoreTurns int    `json:"more_turns,omitempty"`
}

// RefusedInAll is how many statements were refused in it.
func (in *Incident) RefusedInAll() (n uint64) {
	for _, reasons := range in.Refused {
		for _, c := range reasons {
			n += c
		}
	}
	return n
}

// Peak is the worst of an incident, each number by itself.
type Peak struct {
	At            time.Time `json:"at"` // when most waited
	Waiting       int       `json:"waiting"`
	OldestSeconds float64   `json:"oldest_seconds"`
	Blocked       int       `json:"blocked"` // for locks
	Running       int       `json:"running"`
}

// Turn is one change of the verdict.
type Turn struct {
	At       time.Time `json:"at"`
	State    State     `json:"state"`
	Cause    string    `json:"cause"`
	Sentence string    `json:"sentence"`
}

// Record keeps the last incidents. The zero value has none. It is not safe for concurrent use.
type Record struct {
	incidents []Incident // the last, oldest first
	number    int
	open      map[string]*opened // by database
}

// opened is what is kept of an incident while it goes on.
type opened struct {
	number  int
	last    time.Time // something was wrong
	refused map[string]map[string]uint64
	causes  map[string]*lasted
}

// lasted is for how many looks a cause was the verdict, and what was said when most waited.
type lasted struct {
	looks, worst int
	verdict      Verdict
}

// Note takes in the verdict on a sight, and returns the incident that has begun or ended by it, nil if none has. What it returns is a copy.
func (r *Record) Note(v *Verdict, s *Sight) *Incident {
	o := r.open[s.Database]
	switch {
	case v.bearable() && o == nil:
		return nil
	case v.bearable() && s.At.Sub(o.last) < quiet:
		return nil
	case v.bearable():
		return r.end(s.Database)
	case o == nil:
		return r.begin(v, s).copied()
	}
	if in := r.find(o.number); in != nil {
		o.goes(in, v, s)
	}
	return nil
}

// Leave ends the incidents of databases that are not among those looked at any more, and returns them: copies.
func (r *Record) Leave(looked []Sight) (ended []*Incident) {
	for name := range r.open {
		if slices.ContainsFunc(looked, func(s Sight) bool { return s.Database == name }) {
			continue
		}
		if in := r.end(name); in != nil {
			ended = append(ended, in)
		}
	}
	return ended
}

// end ends the incident of a database, nil if it is not kept any more. What it returns is a copy.
func (r *Record) end(database string) *Incident {
	o := r.open[database]
	delete(r.open, database)
	in := r.find(o.number)
	if in == nil {
		return nil
	}
	in.End = o.last
	return in.copied()
}

// begin opens an incident.
func (r *Record) begin(v *Verdict, s *Sight) *Incident {
	r.number++
	o := &opened{number: r.number, refused: refusals(s), causes: map[string]*lasted{}}
	if r.open == nil {
		r.open = map[string]*opened{}
	}
	r.open[s.Database] = o
	if len(r.incidents) == maxIncidents {
		r.incidents = append(r.incidents[:0], r.incidents[1:]...)
	}
	r.incidents = append(r.incidents, Incident{Number: r.number, Database: s.Database, Begin: v.Since, Refused: map[string]map[string]uint64{}})
	in := &r.incidents[len(r.incidents)-1]
	o.goes(in, v, s)
	return in
}

// goes notes that an incident goes on.
func (o *opened) goes(in *Incident, v *Verdict, s *Sight) {
	o.last = s.At
	waiting, oldest := s.waiting()
	l := o.causes[v.Cause]
	if l == nil {
		l = &lasted{worst: -1}
		o.causes[v.Cause] = l
	}
	if l.looks++; waiting > l.worst {
		l.worst, l.verdict = waiting, *v
	}
	if in.Peak.At.IsZero() || waiting > in.Peak.Waiting {
		in.Peak.At, in.Peak.Waiting = s.At, waiting
	}
	in.Peak.OldestSeconds = max(in.Peak.OldestSeconds, oldest.Seconds())
	in.Peak.Blocked, in.Peak.Running = max(in.Peak.Blocked, s.Waits.Lock), max(in.Peak.Running, s.Running)
	most := l
	for _, other := range o.causes {
		if other.looks > most.looks || other.looks == most.looks && rank(other.verdict.State) < rank(most.verdict.State) {
			most = other
		}
	}
	in.State, in.Cause, in.Sentence, in.Advice, in.Culprit = most.verdict.State, most.verdict.Cause, most.verdict.Sentence, most.verdict.Advice, most.verdict.Culprit
	in.Refused = since(refusals(s), o.refused)
	if n := len(in.Turns); n == 0 || in.Turns[n-1].Cause != v.Cause || in.Turns[n-1].State != v.State {
		if n == maxTurns {
			in.MoreTurns++
			return
		}
		in.Turns = append(in.Turns, Turn{At: s.At, State: v.State, Cause: v.Cause, Sentence: v.Sentence})
	}
}

// refusals are those that a sight has counted, by class and reason.
func refusals(s *Sight) map[string]map[string]uint64 {
	out := map[string]map[string]uint64{}
	for i := range s.Classes {
		out[s.Classes[i].Name] = s.Classes[i].By
	}
	return out
}

// since is what has come since before; what has not is left out.
func since(now, before map[string]map[string]uint64) map[string]map[string]uint64 {
	out := map[string]map[string]uint64{}
	for class, by := range now {
		for reason, n := range by {
			if d := n - min(n, before[class][reason]); d > 0 {
				if out[class] == nil {
					out[class] = map[string]uint64{}
				}
				out[class][reason] = d
			}
		}
	}
	return out
}

// find returns an incident by its number, nil if it is not kept any more.
func (r *Record) find(number int) *Incident {
	for i := range r.incidents {
		if r.incidents[i].Number == number {
			return &r.incidents[i]
		}
	}
	return nil
}

// Number is how many incidents have begun.
func (r *Record) Number() int { return r.number }

// Incidents are those that are kept, the last one first. They are copies.
func (r *Record) Incidents() []Incident {
	out := make([]Incident, 0, len(r.incidents))
	for i := len(r.incidents) - 1; i >= 0; i-- {
		out = append(out, *r.incidents[i].copied())
	}
	return out
}

// copied is the incident, which does not change any more.
func (in *Incident) copied() *Incident {
	c := *in
	c.Turns = append([]Turn{}, in.Turns...)
	c.Refused = maps.Clone(in.Refused) // what is in it is made anew at each look
	return &c
}
