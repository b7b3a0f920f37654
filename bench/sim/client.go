package sim

import "pgguard/pool/queue"

// spawn returns a session that is nobody's.
func (m *sim) spawn(id int32) *session {
	if n := len(m.free); n > 0 {
		s := m.free[n-1]
		m.free = m.free[:n-1]
		s.group, s.tries, s.leaving, s.login = id, 0, false, false
		s.waiter = queue.Waiter[*session]{Value: s}
		return s
	}
	s := &session{id: int32(len(m.all)), group: id, place: -1, lock: -1}
	s.waiter.Value = s
	s.car = s.id % int32(len(m.cars))
	m.all = append(m.all, s)
	return s
}

// hire adds a closed client, which begins at a random time within its think time.
func (m *sim) hire(id int32) {
	g := &m.groups[id]
	s := m.spawn(id)
	s.car = int32(len(g.live) % len(m.cars))
	g.live = append(g.live, s)
	m.later(s, evBegin, m.rng.Float64()*max(g.Think, 0.05))
}

// dismiss takes n closed clients away once their requests have ended.
func (m *sim) dismiss(g *group, n int) {
	for ; n > 0; n-- {
		last := len(g.live) - 1
		g.live[last].leaving = true
		g.live = g.live[:last]
	}
}

// arrive makes one request of an open group.
func (m *sim) arrive(id int32) {
	g := &m.groups[id]
	load := m.phase.Load
	if load == 0 {
		load = 1
	}
	m.events.push(event{at: m.now + m.exp(1/(g.Rate*load)), kind: evArrive, id: id})
	m.ask(m.spawn(id))
}

func (m *sim) later(s *session, kind eventKind, after float64) {
	m.events.push(event{at: m.now + after, kind: kind, id: s.id, gen: s.gen})
}

// ask starts a request, or tries it again.
func (m *sim) ask(s *session) {
	g := &m.groups[s.group]
	if s.leaving {
		return
	}
	if s.tries == 0 {
		s.asked = m.now
		m.result.offered(g.Class)
	}
	s.class, s.step, s.abandoned, s.wasBlocked = uint8(g.Class), 0, false, false
	s.alt = g.Alt != nil && (m.phase.Mix == 1 || g.AltShare > 0 && m.rng.Float64() < g.AltShare)
	s.queued = m.now
	if g.Patience > 0 {
		m.later(s, evTimeout, g.Patience)
	}
	m.cars[s.car].get(s)
}

func (m *sim) work(s *session) []Statement {
	g := &m.groups[s.group]
	if s.alt {
		return g.Alt
	}
	return g.Work
}

// finished ends a request well.
func (m *sim) finished(s *session) {
	if !s.abandoned {
		m.result.answered(int(s.class), m.now-s.queued)
		m.result.heard(s.alt, m.now-s.queued)
		m.result.Seconds[int(m.now)]++
	}
	s.tries = 0
	m.rest(s)
}

// failed ends a try badly; the client may try again.
func (m *sim) failed(s *session) {
	g := &m.groups[s.group]
	m.result.failed(int(s.class))
	if int(s.tries) < g.Retries && !s.leaving {
		s.tries++
		s.gen++
		s.state = resting
		back := 0.001
		if g.Backoff > 0 {
			back = g.Backoff * (0.5 + m.rng.Float64())
		}
		m.later(s, evBegin, back)
		return
	}
	s.tries = 0
	m.rest(s)
}

// rest lets a closed client think and an open one go.
func (m *sim) rest(s *session) {
	g := &m.groups[s.group]
	s.gen++
	s.state = resting
	switch {
	case g.Rate > 0 || s.leaving:
		m.free = append(m.free, s)
	default:
		m.later(s, evBegin, m.around(max(g.Think, 1e-4), 0.5))
	}
}

// giveUp is the end of a client's patience. Its statement is cancelled, as the guard does, unless the scenario says
// that nobody cancels: then it runs on and keeps its server.
func (m *sim) giveUp(s *session) {
	c := m.cars[s.car]
	if s.abandoned {
		return
	}
	switch s.state {
	case resting:
	case waiting:
		c.withdraw(s)
		m.failed(s)
	default:
		c.left(s)
		if m.sc.KeepAbandoned {
			m.orphan(s)
			return
		}
		m.stop(s)
	}
}

// orphan leaves a request to run on in the server for nobody, while its client goes on as another session.
func (m *sim) orphan(s *session) {
	heir := m.spawn(s.group)
	heir.car, heir.tries = s.car, s.tries
	if g := &m.groups[s.group]; g.Rate == 0 {
		for i := range g.live {
			if g.live[i] == s {
				g.live[i] = heir
			}
		}
		heir.leaving = s.leaving
	}
	s.abandoned, s.leaving = true, true
	m.failed(heir)
}

// stop cancels whatever a session does in the server and rolls back.
func (m *sim) stop(s *session) {
	switch s.state {
	case computing:
		m.cpu.remove(m.now, s)
	case blocked:
		m.leaveLocks(s)
	case flushing, reading:
		s.abandoned = true // it cannot be stopped there; its end finds nobody
		m.result.failed(int(s.class))
		return
	}
	m.unlock(s)
	c := m.cars[s.car]
	c.report(s, true)
	c.release(s)
	if !s.abandoned {
		m.failed(s)
	} else {
		m.rest(s)
	}
}

// operate is the person who adds workers while work is late and takes them away while there are errors.
func (m *sim) operate() {
	late, errors := m.result.sinceLastLook()
	for i := range m.groups {
		g := &m.groups[i]
		if !g.Operated {
			continue
		}
		switch {
		case errors:
			m.dismiss(g, min(10, len(g.live)-g.Group.Clients))
		case late && len(g.live) < 500:
			for range 25 {
				m.hire(int32(i))
			}
		}
	}
}
