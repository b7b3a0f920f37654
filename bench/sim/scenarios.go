package sim

import "fmt"

// The servers. Haas is fitted to figures published for PostgreSQL 9.1; the others bound what is likely (DESIGN.md, "The curves").
var (
	haas  = usl("haas", 0.00096, 0.00254) // best at 20
	mild  = usl("mild", 0.03, 0.0005)     // best at 44
	steep = usl("steep", 0.05, 0.005)     // best at 14
	two   = usl("two cores", 0.35, 0.01)  // best at 8
	flat  = usl("flat", 0.25, 0)          // more always brings a little more
	// wakes is two cores where work rises by a quarter from 2 statements to 20: wake-ups, group commit, the way to the server.
	wakes = usl("two cores, wake-ups", 0.588, 0.000715) // best at 24
	// points is two cores that clients, guard and server share: level from 6 statements on.
	points = usl("two cores, point reads", 0.5, 0.002) // best at 16
	cores2 = knee("2 cores", 2, maxRunning, 1)
	knee8  = knee("8 cores", 8, maxRunning, 1)
	cliff8 = knee("8 cores, memory for 24", 8, 24, 0.4)
	// knee4 and knee16 lose a little with every statement beyond the cores, so that the best limit is a number.
	knee4  = curve("4 cores", func(n float64) float64 { return min(n, 4) / (1 + max(0, n-4)*0.03) })
	knee2  = knee("2 cores", 2, maxRunning, 1)
	knee16 = curve("16 cores", func(n float64) float64 { return min(n, 16) / (1 + max(0, n-16)*0.03) })
)

// What clients do.
var (
	reads = []Statement{{First: 0, Last: 39, Kind: 'r'}}
	cheap = []Statement{{First: 0, Last: 19, Kind: 'r'}}
	dear  = []Statement{{First: 20, Last: 39, Kind: 'r'}, {First: 20, Last: 39, Kind: 'r'}}
	// writes is a short transaction with a little thinking inside.
	writes = []Statement{{First: 0, Last: 19, Kind: 'r'}, {First: 40, Last: 49, Kind: 'w', Think: 0.001}, {First: 60, Last: 60, Kind: 'c'}}
	hot    = []Statement{{First: 0, Last: 9, Kind: 'r'}, {First: 40, Last: 45, Kind: 'w', Lock: true}, {First: 50, Last: 55, Kind: 'w', Think: 0.01}, {First: 60, Last: 60, Kind: 'c'}}
	held   = []Statement{{First: 0, Last: 9, Kind: 'r'}, {First: 40, Last: 45, Kind: 'w', Lock: true}, {First: 50, Last: 55, Kind: 'w', Think: 0.2}, {First: 60, Last: 60, Kind: 'c'}}
	upload = []Statement{{First: 0, Last: 9, Kind: 'r'}, {First: 40, Last: 49, Kind: 'w'}, {First: 50, Last: 55, Kind: 'w', Files: true}, {First: 60, Last: 60, Kind: 'c'}}
	// hotWrite is the least of a transaction: one hot row, and the disk.
	hotWrite = []Statement{{First: 40, Last: 45, Kind: 'w', Lock: true}, {First: 60, Last: 60, Kind: 'c'}}
	report   = []Statement{{First: 62, Last: 62, Kind: 'r', Long: 10}}
)

// web and jobs are the two kinds of clients: threads that answer people, and threads that work through a backlog.
func web(clients int, think float64) Group {
	return Group{Name: "web", Clients: clients, Think: think, Work: reads, Patience: 2, Retries: 1}
}

func jobs(clients int) Group {
	return Group{Name: "jobs", Class: 1, Clients: clients, Think: 0.01, Work: writes, Retries: 3, Backoff: 5}
}

func open(rate float64) Group {
	return Group{Name: "web", Rate: rate, Work: reads, Patience: 2}
}

// crew is n workers without a pause and with a deadline: reads of 1.5 ms, and three of ten that change one of ten hot rows.
func crew(n int) []Group {
	row := []Statement{{First: 40, Last: 40, Kind: 'w', Lock: true, Long: 0.001}, {First: 60, Last: 60, Kind: 'c', Long: 0.0002}}
	return []Group{
		{Name: "readers", Clients: n * 7 / 10, Think: 0.0005, Work: []Statement{{First: 3, Last: 3, Kind: 'r', Long: 0.0015}}, Patience: 2},
		{Name: "writers", Clients: n * 3 / 10, Think: 0.0005, Work: row, Patience: 2},
	}
}

// workers is a crew on two cores, before a disk whose flush takes 4 ms.
func workers(n int) *Scenario {
	return &Scenario{Number: 21, Name: fmt.Sprintf("%d workers", n), Rows: 10, Groups: crew(n), InTime: n < 1000, Phases: []Phase{
		{Name: "start", Len: 20, Curve: knee2, Fsync: 0.004}, {Name: "steady", Len: 40, Curve: knee2, Fsync: 0.004, Graded: true}}}
}

// stationary is one server under the load of a backlog, from the first second to the last.
func stationary(name string, c *Curve, scale float64) *Scenario {
	return &Scenario{Name: name, Scale: scale, Groups: []Group{web(120, 0.005), jobs(80)},
		Phases: []Phase{{Name: "start", Len: 30, Curve: c}, {Name: "steady", Len: 90, Curve: c, Graded: true}}}
}
