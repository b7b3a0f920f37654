package sim

// Stories returns the numbered scenarios (DESIGN.md, "The scenarios"). Capacities with Scale 2: haas answers
// about 800 reads a second, steep 430, 8 cores 630.
func Stories() []*Scenario {
	return append(stories1(), stories2()...)
}

// backlog is more closed clients than any limit lets in.
func backlog() []Group { return []Group{web(120, 0.005), jobs(80)} }

func stories1() []*Scenario {
	return []*Scenario{
		{Number: 1, Name: "step load", Groups: []Group{open(400)}, Phases: []Phase{
			{Name: "half", Len: 20, Curve: haas}, {Name: "twice", Len: 60, Curve: haas, Load: 4, Graded: true, Protect: true},
			{Name: "half", Len: 30, Curve: haas, Graded: true, Recover: true}}},
		{Number: 2, Name: "capacity to a fifth", Groups: backlog(), Phases: []Phase{
			{Name: "well", Len: 30, Curve: steep}, {Name: "sick", Len: 60, Curve: steep, B: 0.2, Graded: true},
			{Name: "well", Len: 45, Curve: steep, Graded: true, Recover: true}}},
		{Number: 3, Name: "file server stalls", Groups: []Group{open(200), {Name: "jobs", Class: 1, Clients: 30, Think: 0.02, Work: upload, Operated: true}},
			Phases: []Phase{
				{Name: "well", Len: 30, Curve: steep}, {Name: "stall", Len: 90, Curve: steep, Files: 5, Graded: true},
				{Name: "release", Len: 60, Curve: steep, Graded: true, Recover: true}}},
		{Number: 4, Name: "network 20 ms slower", Groups: backlog(), Phases: []Phase{
			{Name: "near", Len: 30, Curve: haas}, {Name: "far", Len: 60, Curve: haas, Delay: 0.02, Graded: true},
			{Name: "near", Len: 30, Curve: haas, Graded: true, Recover: true}}},
		{Number: 5, Name: "hot row", Groups: []Group{web(100, 0.005), {Name: "hot", Class: 1, Clients: 60, Think: 0.005, Work: hot}},
			Phases: []Phase{{Name: "start", Len: 20, Curve: knee8}, {Name: "convoy", Len: 90, Curve: knee8, Graded: true}}},
		{Number: 5, Name: "convoy comes", Groups: []Group{web(100, 0.005), {Name: "hot", Think: 0.005, Work: held}},
			Phases: []Phase{{Name: "calm", Len: 40, Curve: knee8}, {Name: "convoy", Len: 60, Curve: knee8, Graded: true, After: convoy}}},
		{Number: 6, Name: "table lock", Groups: backlog(), Phases: []Phase{
			{Name: "well", Len: 30, Curve: haas}, {Name: "locked", Len: 10, Curve: haas, DDL: true},
			{Name: "after", Len: 45, Curve: haas, Graded: true, Recover: true}}},
		{Number: 7, Name: "slow flush", Groups: []Group{{Name: "writers", Clients: 200, Think: 0.005, Work: writes, Patience: 2}}, Phases: []Phase{
			{Name: "well", Len: 30, Curve: knee8, Fsync: 0.004}, {Name: "slow", Len: 60, Curve: knee8, Fsync: 0.04, Graded: true},
			{Name: "well", Len: 30, Curve: knee8, Fsync: 0.004, Graded: true, Recover: true}}},
		{Number: 8, Name: "mix flips", Groups: []Group{{Name: "web", Clients: 160, Think: 0.005, Work: cheap, Alt: dear, Patience: 2}},
			Phases: flips()},
		{Number: 9, Name: "sick from the start", Groups: backlog(), Phases: []Phase{
			{Name: "begin", Len: 20, Curve: two, B: 0.6}, {Name: "sick", Len: 50, Curve: two, B: 0.6, Graded: true},
			{Name: "well", Len: 45, Curve: haas, Graded: true, Recover: true}}},
		{Number: 10, Name: "failover", Groups: backlog(), Phases: []Phase{
			{Name: "well", Len: 30, Curve: haas}, {Name: "down", Len: 10, Curve: haas, Down: true},
			{Name: "cold", Len: 20, Curve: haas, B: 0.4, Graded: true, Recover: true}, {Name: "well", Len: 40, Curve: haas, Graded: true, Recover: true}}},
	}
}

func flips() []Phase {
	out := []Phase{{Name: "cheap", Len: 30, Curve: haas}}
	for i := range 6 {
		name := []string{"dear", "cheap"}[i%2]
		out = append(out, Phase{Name: name, Len: 20, Curve: haas, Mix: 1 - i%2, Graded: true})
	}
	return out
}

// convoy lets clients begin to update one row and think with it in their hands: enough to hold all of a small limit while
// they wait.
func convoy(g *Group) {
	if g.Name == "hot" {
		g.Clients = 11
	}
}

// fleet is K guards before one server.
func fleet(number int, name string, k int) *Scenario {
	return &Scenario{Number: number, Name: name, Cap: 200 / k, Sidecars: k, Groups: []Group{web(160, 0.005), jobs(120)}, Phases: []Phase{
		{Name: "start", Len: 40, Curve: steep}, {Name: "steady", Len: 80, Curve: steep, Graded: true}}}
}

func stories2() []*Scenario {
	greedy := fleet(11, "one greedy of three", 3)
	greedy.Cap, greedy.Greedy = 24, true
	alone := fleet(11, "four without a board", 4)
	alone.NoBoard = true
	reports := Group{Name: "reports", Class: 0, Clients: 6, Think: 10, Work: report}
	moves := []Phase{{Name: "4", Len: 30, Curve: knee4}}
	for _, p := range []Phase{{Name: "16", Curve: knee16}, {Name: "4", Curve: knee4, Protect: true}, {Name: "16", Curve: knee16}} {
		p.Len, p.Graded, p.Recover = 60, true, !p.Protect
		moves = append(moves, p)
	}
	lockers := []Group{web(100, 0.005), {Name: "hot", Class: 1, Clients: 60, Think: 0.005, Work: hot}}
	return []*Scenario{
		fleet(11, "two sidecars", 2), fleet(11, "four sidecars", 4), fleet(11, "eight sidecars", 8), alone, greedy,
		{Number: 12, Name: "strangers come and go", Groups: backlog(), Phases: []Phase{
			{Name: "alone", Len: 30, Curve: haas}, {Name: "shared", Len: 60, Curve: haas, Foreign: 10, Graded: true, Protect: true},
			{Name: "alone", Len: 40, Curve: haas, Graded: true, Recover: true}}},
		{Number: 13, Name: "reports", Groups: []Group{web(100, 0.005), reports}, Phases: []Phase{
			{Name: "start", Len: 40, Curve: haas}, {Name: "steady", Len: 120, Curve: haas, Graded: true}}},
		{Number: 14, Name: "surge from idle", Groups: []Group{open(40)}, Phases: []Phase{
			{Name: "idle", Len: 90, Curve: haas}, {Name: "surge", Len: 60, Curve: haas, Load: 30, Graded: true, Recover: true}}},
		{Number: 15, Name: "optimum moves", Groups: backlog(), Phases: moves},
		{Number: 16, Name: "side channel lost", Groups: lockers, Phases: []Phase{
			{Name: "start", Len: 30, Curve: knee8}, {Name: "blind", Len: 40, Curve: knee8, Blind: true, Graded: true},
			{Name: "seeing", Len: 40, Curve: knee8, Graded: true}}},
		{Number: 17, Name: "guard starved", Groups: backlog(), Phases: []Phase{
			{Name: "well", Len: 30, Curve: haas}, {Name: "starved", Len: 60, Curve: haas, Burn: 0.01, Graded: true},
			{Name: "well", Len: 30, Curve: haas, Graded: true, Recover: true}}},
		{Number: 18, Name: "capacity in waves", Groups: backlog(), Phases: []Phase{
			{Name: "start", Len: 30, Curve: haas, Wave: 0.3, Period: 2.75}, {Name: "waves", Len: 90, Curve: haas, Wave: 0.3, Period: 2.75, Graded: true}}},
		{Number: 19, Name: "retry storm", KeepAbandoned: true, Groups: []Group{{Name: "web", Rate: 300, Work: reads, Patience: 2, Retries: 3}}, Phases: []Phase{
			{Name: "well", Len: 30, Curve: steep}, {Name: "trigger", Len: 20, Curve: steep, B: 0.4, Graded: true},
			{Name: "after", Len: 60, Curve: steep, Graded: true, Recover: true}}},
		{Number: 20, Name: "healthy", Healthy: true, Groups: []Group{open(250), {Name: "jobs", Class: 1, Clients: 6, Think: 0.1, Work: writes}}, Phases: []Phase{
			{Name: "day", Len: 120, Curve: haas, Graded: true}, {Name: "night", Len: 120, Curve: haas, Load: 0.1, Graded: true},
			{Name: "morning", Len: 120, Curve: haas, Load: 1.6, Graded: true}}},
		workers(32), workers(128), workers(512), workers(1000),
	}
}

// Curves returns one stationary scenario for each kind of server.
func Curves() []*Scenario {
	var out []*Scenario
	for _, c := range []*Curve{haas, mild, steep, two, knee8, cliff8, flat} {
		out = append(out, stationary(c.Name, c, 0))
	}
	return out
}
