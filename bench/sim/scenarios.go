package sim

// The servers. Haas is fitted to figures published for PostgreSQL 9.1; the others bound what is likely (DESIGN.md, "The curves").
var (
	haas   = usl("haas", 0.00096, 0.00254) // best at 20
	mild   = usl("mild", 0.03, 0.0005)     // best at 44
	steep  = usl("steep", 0.05, 0.005)     // best at 14
	two    = usl("two cores", 0.35, 0.01)  // best at 8
	flat   = usl("flat", 0.25, 0)          // more always brings a little more
	knee8  = knee("8 cores", 8, maxRunning, 1)
	cliff8 = knee("8 cores, memory for 24", 8, 24, 0.4)
	// knee4 and knee16 lose a little with every statement beyond the cores, so that the best limit is a number.
	knee4  = curve("4 cores", func(n float64) float64 { return min(n, 4) / (1 + max(0, n-4)*0.03) })
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
	report = []Statement{{First: 62, Last: 62, Kind: 'r', Long: 10}}
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

// stationary is one server under the load of a backlog, from the first second to the last.
func stationary(name string, c *Curve, scale float64) *Scenario {
	return &Scenario{Name: name, Scale: scale, Groups: []Group{web(120, 0.005), jobs(80)},
		Phases: []Phase{{Name: "start", Len: 30, Curve: c}, {Name: "steady", Len: 90, Curve: c, Graded: true}}}
}
