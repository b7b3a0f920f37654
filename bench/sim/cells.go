package sim

import "fmt"

// coarse are the static limits among which the best of a cell is looked for: where work rises by some percent for each
// doubling, steps of two fifths are fine enough.
var coarse = []int{1, 2, 4, 6, 8, 12, 17, 24, 35, 50, 72, 100}

// Cells returns what a busy server of two cores is asked by short statements: the worlds in which a law slides, hunts or starves
// its own clients (DESIGN.md, "The cells"). They are graded beside the stories, by their own promises.
func Cells() []*Scenario {
	out := []*Scenario{
		short("short reads, 0.2 ms", 1.0/30, 0.0002),
		short("short reads, 1.5 ms", 0.25, 0.001),
		steadyReads(),
		restless(),
	}
	for _, first := range []int{1, 2, 5, 50} {
		sc := stationary(fmt.Sprintf("flat from %d", first), flat, 0)
		sc.World, sc.First, sc.Must = "flat", first, 0.95
		out = append(out, sc)
	}
	out = append(out, strangersCompute())
	for _, workers := range []int{8, 32, 128, 512, 1000} {
		out = append(out, hotRows(workers))
	}
	slid := hotRows(512)
	slid.Must = 0.95
	slid.World, slid.First, slid.Name = slid.Name, 2, slid.Name+", from 2"
	few := steadyReads()
	few.World, few.First, few.Name = few.Name, 4, few.Name+", from 4"
	out = append(out, slid, few)
	for _, sc := range out {
		sc.Cell = true
	}
	return out
}

// short is a closed loop of more clients than are of use, with statements so short that the way to the server counts.
func short(name string, scale, way float64) *Scenario {
	return &Scenario{Name: name, Scale: scale, Grid: coarse, Must: 0.95,
		Groups: []Group{{Name: "web", Clients: 64, Think: 0.0005, Work: reads, Patience: 2}},
		Phases: []Phase{{Name: "start", Len: 30, Curve: wakes, Delay: way, Unrest: 0.03, Bursts: 0.3}, {Name: "steady", Len: 60, Curve: wakes, Delay: way, Unrest: 0.03, Bursts: 0.3, Graded: true}}}
}

// restless is the same on a server whose capacity goes to and fro by a third, and of which other processes take up to a half: each experiment says
// little, and a law that believes it goes down as often as up.
func restless() *Scenario {
	sc := short("short reads, restless", 0.25, 0.0003)
	sc.Must = 0.90
	for i := range sc.Phases {
		sc.Phases[i].Unrest, sc.Phases[i].Bursts = 0.3, 0.5
	}
	sc.Phases[1].Len = 240
	return sc
}

// steadyReads is ten minutes in which nothing happens: whoever goes on experimenting pays for it.
func steadyReads() *Scenario {
	return &Scenario{Name: "steady reads", Scale: 1.0 / 6, Grid: coarse, Must: 0.95, Steady: true,
		Groups: []Group{{Name: "web", Clients: 32, Think: 0.0002, Work: reads}},
		Phases: []Phase{{Name: "start", Len: 60, Curve: points, Unrest: 0.03}, {Name: "steady", Len: 600, Curve: points, Unrest: 0.03, Graded: true}}}
}

// strangersCompute is eight processes that come and take what the processors give them.
func strangersCompute() *Scenario {
	return &Scenario{Name: "strangers who compute", Grid: coarse, Calm: 0.85, Groups: backlog(), Phases: []Phase{
		{Name: "calm", Len: 30, Curve: cores2}, {Name: "they come", Len: 20, Curve: cores2, Foreign: 8},
		{Name: "beside", Len: 40, Curve: cores2, Foreign: 8, Graded: true}}}
}

// hotRows is a mix of short reads and transactions on ten hot rows that wait for the disk, by so many workers who give up
// after two seconds.
func hotRows(workers int) *Scenario {
	writers := max(2, workers*3/10)
	return &Scenario{Name: fmt.Sprintf("hot rows, %d workers", workers), Scale: 0.25, Grid: coarse, Rows: 10,
		Groups: []Group{
			{Name: "readers", Clients: workers - writers, Think: 0.0002, Work: reads, Patience: 2},
			{Name: "writers", Clients: writers, Think: 0.0002, Work: hotWrite, Patience: 2},
		},
		Phases: []Phase{
			{Name: "start", Len: 30, Curve: wakes, Delay: 0.0003, Fsync: 0.002, Unrest: 0.03, Bursts: 0.3},
			{Name: "steady", Len: 60, Curve: wakes, Delay: 0.0003, Fsync: 0.002, Unrest: 0.03, Bursts: 0.3, Graded: true}}}
}
