package sim

// send puts the session's next statement on the wire; it has a server and, for the first one, a token.
func (m *sim) send(s *session) {
	c := m.cars[s.car]
	if s.state == thinking && m.law.InTxn && !c.hasToken() {
		s.state = token
		m.result.HeldUp++
		c.starved = append(c.starved, s)
		return
	}
	c.start(s)
	st := &m.work(s)[s.step]
	s.since = m.now
	s.wasBlocked = false
	u := m.rng.Float64()
	s.fp = uint16(st.First + int(float64(st.Last-st.First+1)*u*u))
	if s.demand = m.around(m.mean[s.fp], spread); st.Long > 0 {
		s.demand = m.around(st.Long, 0.3)
	}
	s.state = flying
	if d := m.phase.Delay + m.phase.Burn*m.rng.Float64()*2; d > 0 {
		m.later(s, evSent, d)
		return
	}
	m.execute(s)
}

// execute begins a statement in the server.
func (m *sim) execute(s *session) {
	m.active++
	if m.phase.DDL {
		s.state = blocked
		s.wasBlocked = true
		m.table.push(s)
		m.cars[s.car].blocked++
		return
	}
	m.lockRow(s)
}

// lockRow takes the statement's hot row, or waits for it.
func (m *sim) lockRow(s *session) {
	if st := &m.work(s)[s.step]; st.Lock && s.lock < 0 {
		s.lock = int32(m.rng.IntN(len(m.rows)))
		r := &m.rows[s.lock]
		if r.holder != nil {
			s.state = blocked
			s.wasBlocked = true
			r.push(s)
			m.cars[s.car].blocked++
			return
		}
		r.holder = s
	}
	s.state = computing
	m.cpu.push(m.now, s, s.demand)
}

func (m *sim) unblock(s *session) { m.cars[s.car].blocked-- }

// leaveLocks takes a blocked session out of the line it stands in.
func (m *sim) leaveLocks(s *session) {
	m.unblock(s)
	if s.lock >= 0 {
		m.rows[s.lock].remove(s)
		s.lock = -1
		return
	}
	m.table.remove(s)
}

// unlock ends a transaction's hold of its row and lets the next in.
func (m *sim) unlock(s *session) {
	if s.lock < 0 {
		return
	}
	r := &m.rows[s.lock]
	s.lock = -1
	if r.holder != s {
		return
	}
	if r.holder = r.shift(); r.holder != nil {
		next := r.holder
		m.unblock(next)
		next.state = computing
		m.cpu.push(m.now, next, next.demand)
	}
}

// computed is the end of a job's time on the processor.
func (m *sim) computed(s *session) {
	if s.login {
		m.cars[s.car].loggedIn(s)
		return
	}
	if s.stranger {
		m.result.strange()
		m.result.Seconds[int(m.now)]++
		if m.strangers > m.phase.Foreign {
			m.strangers--
			s.stranger = false
			m.free = append(m.free, s)
			return
		}
		m.cpu.push(m.now, s, m.exp(strangeDemand))
		return
	}
	st := &m.work(s)[s.step]
	switch {
	case st.Kind == 'c' && m.phase.Fsync > 0:
		s.state = flushing
		m.flush.coming = append(m.flush.coming, s)
		if !m.flush.busy {
			m.flushNext()
		}
	case st.Kind == 'd':
		s.state = reading
		m.disk.line = append(m.disk.line, s)
		m.diskNext()
	default:
		m.done(s)
	}
}

// flushNext starts one flush for everybody who waits for one.
func (m *sim) flushNext() {
	f := &m.flush
	f.now, f.coming = f.coming, f.now[:0]
	if f.busy = len(f.now) > 0; f.busy {
		m.events.push(event{at: m.now + m.around(max(m.phase.Fsync, 0.0005), 0.4), kind: evCommit})
	}
}

func (m *sim) flushed() {
	for _, s := range m.flush.now {
		m.done(s)
	}
	m.flushNext()
}

// disks is how many reads are served at once, each of about 4 ms.
const disks = 8

func (m *sim) diskNext() {
	for m.disk.busy < disks && len(m.disk.line) > 0 {
		s := m.disk.line[0]
		m.disk.line = m.disk.line[1:]
		m.disk.busy++
		m.later(s, evDisk, m.around(0.004, 0.5))
	}
}

func (m *sim) diskDone() {
	m.disk.busy--
	m.diskNext()
}

// done is the end of a statement.
func (m *sim) done(s *session) {
	c := m.cars[s.car]
	work := m.work(s)
	c.report(s, false)
	s.step++
	if s.abandoned && !m.sc.KeepAbandoned || int(s.step) == len(work) {
		m.unlock(s)
		c.release(s)
		m.finished(s)
		return
	}
	next := &work[s.step]
	think := next.Think
	if next.Files {
		if think = m.phase.Files; think == 0 {
			think = 0.02
		}
	}
	s.state = thinking
	if think > 0 {
		m.later(s, evNext, m.around(think, 0.3))
		return
	}
	m.send(s)
}
