package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"pgguard/pool/limit"
	"pgguard/pool/queue"
)

// Law makes the limiter of one sidecar, starting at first (0: its own start).
type Law struct {
	Name  string
	New   func(first int, seed uint64) limit.Limit
	InTxn bool // a mutant of the pool: statements inside a transaction wait for a token, too
	Line  Line
}

// Line is how those wait who cannot be served at once.
type Line uint8

// The lines.
const (
	InTime Line = iota // as in the proxy
	Plain              // in order of arrival, whatever happens, and nobody is turned away
	Hasty              // a mutant of the queue: newest first after a quarter of a second, a second at most, and no lane for who is held up by a bound of its own
)

// classes are those of the law's line.
func (l Law) classes() []queue.Class {
	out := classes()
	if l.Line == Hasty {
		out[0].MaxWait = time.Second
	}
	return out
}

// epoch is the time of day at virtual time 0.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// sim is one run.
type sim struct {
	sc     *Scenario
	law    Law
	rng    *rand.Rand
	now    float64
	events events
	cpu    cpu
	phase  *Phase
	number int // of the phase
	groups []group
	all    []*session
	free   []*session
	cars   []*sidecar
	rows   []row
	table  row // the whole table's lock, held by DDL
	flush  struct {
		busy        bool
		now, coming []*session
	}
	disk struct {
		busy int
		line []*session
	}
	active    int // statements in the server, for Foreign
	mean      [numFingerprints]float64
	strangers int
	weather   *rand.Rand // of what happens to capacity, whatever the law does
	unrest    float64    // ln of the capacity that wanders
	burst     float64    // part of the capacity that other processes take now
	burstEnd  float64
	result    *Result
}

// group is a Group as it stands now.
type group struct {
	Group
	live []*session
}

const numFingerprints = 64

// strangeDemand is the mean processor time of a stranger's statement: about that of a read.
const strangeDemand = 0.012

// spread is sigma of the logarithm of one fingerprint's demand: a coefficient of variation of 1.
const spread = 0.833

// Simulate runs a scenario with a law and a seed.
func Simulate(sc *Scenario, law Law, first int, seed uint64) *Result {
	m := &sim{sc: sc, law: law, rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), result: newResult(sc),
		weather: rand.New(rand.NewPCG(seed, 0x2545f4914f6cdd1d))}
	scale := sc.Scale
	if scale == 0 {
		scale = 2
	}
	for i := range m.mean {
		// From 0.5 to 30 ms, in no order, so that popularity says nothing about cost.
		m.mean[i] = scale * 0.0005 * math.Pow(60, float64(i*37%numFingerprints)/(numFingerprints-1))
	}
	m.rows = make([]row, max(1, sc.Rows))
	for i := range max(1, sc.Sidecars) {
		m.cars = append(m.cars, newSidecar(m, i, first, seed))
	}
	m.number = -1
	m.nextPhase()
	for i, g := range sc.Groups {
		m.groups = append(m.groups, group{Group: g})
		if g.Rate > 0 {
			m.events.push(event{at: m.exp(1 / g.Rate), kind: evArrive, id: int32(i)})
			continue
		}
		for range g.Clients {
			m.hire(int32(i))
		}
	}
	for i := range m.cars {
		off := m.rng.Float64() * 0.05
		m.events.push(event{at: off, kind: evTick, id: int32(i)})
		m.events.push(event{at: off * 5, kind: evStep, id: int32(i)})
		m.events.push(event{at: off * 20, kind: evSample, id: int32(i)})
	}
	m.events.push(event{at: 30, kind: evOperate})
	m.events.push(event{at: 0.1, kind: evWave})
	m.loop()
	m.finish()
	return m.result
}

func (m *sim) loop() {
	end := m.sc.length()
	for m.now < end {
		at := m.events[0].at
		if next := m.cpu.next(); next <= at {
			if next >= end {
				break
			}
			m.now = next
			s := m.cpu.pop(m.now)
			m.computed(s)
			continue
		}
		e := m.events.pop()
		m.now = e.at
		m.happen(e)
	}
	m.now = end
}

func (m *sim) happen(e event) {
	switch e.kind {
	case evArrive:
		m.arrive(e.id)
	case evBegin, evSent, evNext, evTimeout, evDisk:
		s := m.all[e.id]
		if e.kind == evDisk {
			m.diskDone()
		}
		if s.gen == e.gen {
			m.proceed(s, e.kind)
		}
	case evCommit:
		m.flushed()
	case evTick:
		m.cars[e.id].tick()
		m.again(e, 0.05)
	case evStep:
		m.cars[e.id].step()
		m.again(e, 0.25)
	case evSample:
		m.cars[e.id].look()
		m.again(e, 1)
	case evWave:
		m.wave()
		m.again(e, 0.1)
	case evOperate:
		m.operate()
		m.again(e, 30)
	case evLogin:
		m.cars[e.id].loginFailed()
	case evPhase:
		m.nextPhase()
	}
}

// wave changes capacity that varies by itself: as a sine, or as it comes.
func (m *sim) wave() {
	p := m.phase
	switch {
	case p.Wave > 0:
		m.cpu.advance(m.now)
		m.cpu.b = p.factor() * (1 + p.Wave*math.Sin(2*math.Pi*m.now/p.Period))
	case p.Unrest > 0:
		const kept = 0.9 // of the distance, a tenth of a second later
		m.unrest = kept*m.unrest + math.Sqrt(1-kept*kept)*p.Unrest*m.weather.NormFloat64()
		if p.Bursts > 0 && m.now >= m.burstEnd {
			if m.burst = p.Bursts * m.weather.Float64(); m.weather.Float64() < 0.5 {
				m.burst = 0
			}
			m.burstEnd = m.now + m.weather.ExpFloat64()*burstTime
		}
		m.cpu.advance(m.now)
		m.cpu.b = p.factor() * math.Exp(m.unrest) * (1 - m.burst)
	}
}

// burstTime is how long other processes take, or leave, on average: some seconds.
const burstTime = 4.0

func (m *sim) again(e event, after float64) {
	e.at = m.now + after
	m.events.push(e)
}

// proceed moves a session on.
func (m *sim) proceed(s *session, kind eventKind) {
	switch kind {
	case evBegin:
		m.ask(s)
	case evSent:
		m.execute(s)
	case evNext:
		m.send(s)
	case evTimeout:
		m.giveUp(s)
	case evDisk:
		m.done(s)
	}
}

// nextPhase makes the next phase's world.
func (m *sim) nextPhase() {
	m.number++
	if m.number >= len(m.sc.Phases) {
		return
	}
	before := m.phase
	m.phase = &m.sc.Phases[m.number]
	m.result.enter(m.number, m.now)
	m.cpu.advance(m.now)
	m.cpu.curve, m.cpu.b = m.phase.Curve, m.phase.factor()
	for m.strangers < m.phase.Foreign {
		s := m.spawn(-1)
		s.stranger = true
		m.strangers++
		m.cpu.push(m.now, s, m.exp(strangeDemand))
	}
	m.events.push(event{at: m.now + m.phase.Len, kind: evPhase})
	if before != nil && before.DDL && !m.phase.DDL {
		for s := m.table.shift(); s != nil; s = m.table.shift() {
			m.unblock(s)
			m.lockRow(s)
		}
	}
	if m.phase.Down && (before == nil || !before.Down) {
		for _, c := range m.cars {
			c.lost()
		}
	}
	if m.phase.After == nil {
		return
	}
	for i := range m.groups {
		g := &m.groups[i]
		m.phase.After(&g.Group)
		for len(g.live) < g.Clients && g.Rate == 0 {
			m.hire(int32(i))
		}
		m.dismiss(g, len(g.live)-g.Clients)
	}
}

func (p *Phase) factor() float64 {
	if p.B == 0 {
		return 1
	}
	return p.B
}

func (m *sim) exp(mean float64) float64 { return m.rng.ExpFloat64() * mean }

// around draws a lognormal time of this mean.
func (m *sim) around(mean, sigma float64) float64 {
	return mean * math.Exp(sigma*m.rng.NormFloat64()-sigma*sigma/2)
}

// clock is virtual time as the law and the queue see it.
func (m *sim) clock() time.Time { return epoch.Add(time.Duration(m.now * 1e9)) }
