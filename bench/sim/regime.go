package sim

// Regime is one load that does not change, on a server that was fitted to a real one: a cell of the matrix. Times are seconds.
type Regime struct {
	Lambda, Sigma, Kappa float64 // statements a second alone, and the curve from there (DESIGN.md, "The curves")
	Update, Flush        float64 // of a row alone; of a commit
	Writes               float64 // part of the requests that are a transaction: the statement, an update, a commit
	Rows                 int     // that the updates fight for; 0: they do not meet
	Trip                 float64 // between client and guard
	Clients              int     // closed loop
	Rate                 float64 // open loop; 0 is a closed one
	Deadline             float64 // a client gives up
	Guards               int
	Warmup, Time         float64
}

// Contender is who stands before the server of a Regime.
type Contender struct {
	Law     Law
	InOrder bool // who comes first is served first
	Slots   int  // most transactions at once of each guard; 0: the guard's own
	Keeps   bool // nobody cancels the statements of clients that have left
}

// RegimeResult is what became of the requests in the time that counts.
type RegimeResult struct {
	Goodput             float64 // answered in time, a second
	ReadsP99, WritesP99 float64 // of those; 0 of none
	Refused, TimedOut   float64 // a second
	Least, Most         float64 // the first guard's limit
	Changes             int     // of it
}

// errorPause is what clients rest after a try that failed, on average.
const errorPause = 0.1

// ownTime is what a client of the real matrix needs between an answer and its next request.
const ownTime = 0.0001

// Play simulates one contender.
func (g Regime) Play(c Contender, seed uint64) RegimeResult {
	r := Simulate(g.scenario(c), c.Law, 0, seed)
	p := &r.Phases[1]
	class := &p.Class[g.class(c)]
	out := RegimeResult{
		Goodput: float64(class.Good) / g.Time, Refused: float64(class.Refused) / g.Time,
		TimedOut: float64(class.Failed-class.Refused) / g.Time,
		ReadsP99: p.kinds[0].quantile(0.99), WritesP99: p.kinds[1].quantile(0.99),
	}
	for i, l := range r.Limits[len(r.Limits)-min(p.steps, len(r.Limits)):] {
		if i == 0 || float64(l) < out.Least {
			out.Least = float64(l)
		}
		out.Most = max(out.Most, float64(l))
	}
	for _, d := range r.Decisions {
		if d.At >= p.start {
			out.Changes++
		}
	}
	return out
}

// class is the interactive one, or that which is served in order of arrival.
func (g Regime) class(c Contender) int {
	if c.InOrder {
		return 1
	}
	return 0
}

// scenario is the regime's world.
func (g Regime) scenario(c Contender) *Scenario {
	curve := usl("fitted", g.Sigma, g.Kappa)
	clients := Group{
		Name: "clients", Class: g.class(c), Clients: g.Clients, Think: g.Trip + ownTime, Rate: g.Rate, Patience: g.Deadline,
		Work: []Statement{{Kind: 'r', Long: 1 / g.Lambda}}, AltShare: g.Writes, Alt: g.write(),
	}
	if g.Rate == 0 {
		clients.Retries, clients.Backoff = 255, errorPause
	}
	slots := c.Slots
	if slots > 0 && c.InOrder {
		slots = int(float64(slots)/classes()[1].MaxShare + 1) // the class may hold a part of them
	}
	return &Scenario{
		Name: "regime", Cap: slots, Sidecars: g.Guards, Rows: max(g.Rows, 1), KeepAbandoned: c.Keeps, Groups: []Group{clients},
		Phases: []Phase{{Name: "warm-up", Len: g.Warmup, Curve: curve, Fsync: g.Flush}, {Name: "counted", Len: g.Time, Curve: curve, Fsync: g.Flush, Graded: true}},
	}
}

// beginTime is what a BEGIN or the processor's part of a COMMIT takes: too little to be measured beside the wire.
const beginTime = 0.00005

// write is the regime's transaction. A round trip passes between its statements, while it holds its server.
func (g Regime) write() []Statement {
	think := g.Trip + ownTime
	return []Statement{
		{Kind: 'r', Long: 1 / g.Lambda, Think: think}, {First: 40, Last: 40, Kind: 'w', Long: g.Update, Lock: g.Rows > 0, Think: think},
		{First: 60, Last: 60, Kind: 'c', Long: beginTime, Think: think},
	}
}
