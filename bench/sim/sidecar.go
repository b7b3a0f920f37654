package sim

import (
	"time"

	"pgguard/breaker"
	"pgguard/pool/limit"
	"pgguard/pool/queue"
)

// classes are those of pool.Default.
func classes() []queue.Class {
	return []queue.Class{
		{Name: "high", Interactive: true, Weight: 4, MaxWait: 5 * time.Second, MaxLength: 10_000, MaxShare: 1},
		{Name: "low", Weight: 1, MaxWait: 30 * time.Second, MaxLength: 10_000, MaxShare: 0.75},
	}
}

// Costs of the guard's own doings.
const (
	loginDemand = 0.005 // processor time of one login in the server
	loginsMax   = 4     // pool.Default().Dials
	retryLogin  = 0.5   // between logins that fail
)

// sidecar is the guard next to some clients: the same queue and limit as in the proxy, and of the pool's admission the cap, the
// tokens and the classes' shares.
type sidecar struct {
	m       *sim
	id      int32
	law     limit.Limit
	queue   *queue.Queue[*session]
	dials   breaker.Dials
	cap     int
	running int
	slots   int
	held    [2]int
	idle    int // server connections nobody uses
	opening int
	down    bool // a login has failed and the next is due later
	blocked int  // the truth, which only look sees
	starved []*session
	shares  [2]int // slots a class may hold

	accounted float64
	runTime   float64
	boundTime float64
	bound     bool
	sampled   float64 // when look last saw anything; -1: never
	seen      struct{ blocked, peers, foreign int }
	convoys   convoys
	can       func(*queue.Waiter[*session]) bool
	classOK   func(int) bool
}

func newSidecar(m *sim, id, first int, seed uint64) *sidecar {
	c := &sidecar{m: m, id: int32(id), cap: m.sc.Cap, queue: queue.New[*session](m.law.classes()), sampled: -1}
	if c.cap == 0 {
		c.cap = 100
	}
	c.law = m.law.New(first, seed)
	if m.sc.Greedy && id == m.sc.Sidecars-1 {
		c.law = limit.Frozen(c.cap)
	}
	for i, k := range classes() {
		c.shares[i] = max(1, int(k.MaxShare*float64(c.cap)))
	}
	c.can = func(w *queue.Waiter[*session]) bool { return c.convoys.room(int(w.Value.group), c.law.Current()) }
	c.queue.Bound(func(lane int) bool {
		return lane < queue.FirstOwn || c.convoys.room(lane-queue.FirstOwn, c.law.Current())
	})
	switch m.law.Line {
	case Hasty:
		c.queue.Hasten(250 * time.Millisecond)
	case Plain:
		c.queue.Hasten(time.Hour)
		c.queue.KeepOrder(true)
	}
	c.classOK = func(i int) bool { return c.held[i] < c.shares[i] }
	return c
}

// refundFor is how long a look of the side channel holds: pool/admit.go's.
const refundFor = 3.0

// hasToken is the pool's rule.
func (c *sidecar) hasToken() bool {
	refund := 0
	if c.sampled >= 0 && c.m.now-c.sampled < refundFor {
		refund = min(c.running, c.law.Refund(c.seen.blocked))
	}
	return c.running-refund < c.law.Current()
}

// account adds up the time since the last change of running or bound.
func (c *sidecar) account() {
	d := c.m.now - c.accounted
	c.accounted = c.m.now
	c.runTime += d * float64(c.running)
	if c.bound {
		c.boundTime += d
	}
}

// get asks for a server for s.
func (c *sidecar) get(s *session) {
	if c.dials.Open() {
		c.m.refused(s)
		return
	}
	s.state = waiting
	s.waiter.Class, s.waiter.Kind, s.waiter.Lane = int(s.class), uint16(s.group+1), c.lane(s)
	if c.queue.Push(&s.waiter, c.m.clock()) != queue.OK {
		c.m.refused(s)
		return
	}
	c.serve()
}

// serve grants what can be granted and opens the connections that are wanted.
func (c *sidecar) serve() {
	now := c.m.clock()
	c.queue.Suspend(c.slots+c.idle == 0, now)
	c.queue.Advance(now)
	for c.queue.Len() > 0 && c.hasToken() && c.idle > 0 {
		w := c.queue.Pop(c.classOK, c.can)
		if w == nil {
			break
		}
		s := w.Value
		c.idle--
		c.slots++
		c.held[s.class]++
		s.slot, s.granted = true, c.m.now
		c.m.result.slots(c.slots, c.cap)
		c.m.result.granted(s.class, c.m.now-s.queued)
		c.m.send(s)
	}
	c.grow()
	c.account()
	c.bound = c.queue.Len() > 0 && !c.hasToken()
}

// grow logs in for those who wait for a connection.
func (c *sidecar) grow() {
	for c.queue.Len() > 0 && c.hasToken() && !c.down && c.opening < loginsMax && c.opening < c.queue.Len() &&
		c.slots+c.idle+c.opening < c.cap {
		c.login()
	}
}

func (c *sidecar) login() {
	c.opening++
	if c.m.phase.Down {
		c.m.events.push(event{at: c.m.now + 0.001, kind: evLogin, id: c.id})
		return
	}
	s := c.m.spawn(-1)
	s.login, s.car = true, c.id
	c.m.cpu.push(c.m.now, s, loginDemand)
}

func (c *sidecar) loggedIn(s *session) {
	s.login = false
	c.m.free = append(c.m.free, s)
	c.opening--
	c.idle++
	c.dials.Report(true, c.m.clock())
	c.serve()
}

func (c *sidecar) loginFailed() {
	c.opening--
	c.down = true
	c.dials.Report(false, c.m.clock())
}

// start gives s a token, without waiting: the pool's own rule for statements inside a transaction.
func (c *sidecar) start(s *session) {
	c.account()
	s.running = true
	c.running++
	if s.step == 0 {
		c.convoys.running[s.group]++
	}
}

// report takes the token back and tells the law.
func (c *sidecar) report(s *session, aborted bool) {
	if !s.running {
		return
	}
	c.account()
	s.running = false
	c.running--
	if s.step == 0 {
		c.convoys.running[s.group]--
	}
	if s.state != flying {
		c.m.active--
	}
	now := c.m.clock()
	kind := limit.Failed
	if !aborted && !s.abandoned && s.step == 0 {
		c.queue.Answered(int(s.class), time.Duration((c.m.now-s.queued)*1e9), 0)
	}
	if !aborted && !s.abandoned {
		switch c.m.work(s)[s.step].Kind {
		case 'r', 'd':
			kind = limit.Read
		case 'w':
			kind = limit.Write
		case 'c':
			kind = limit.Control
		}
	}
	c.law.Observe(limit.Sample{
		Now: now, Elapsed: time.Duration((c.m.now - s.since) * 1e9), Running: c.running + 1, Fingerprint: s.fp + 1,
		Kind: kind, Blocked: s.wasBlocked, Class: s.class,
	})
	c.m.result.statement()
	for len(c.starved) > 0 && c.hasToken() {
		next := c.starved[0]
		c.starved = c.starved[1:]
		if next.state == token {
			next.state = resting
			c.m.send(next)
		}
	}
	if s.step+1 < uint8(len(c.m.work(s))) {
		c.serve()
	}
}

// release gives the server back.
func (c *sidecar) release(s *session) {
	if !s.slot {
		return
	}
	s.slot = false
	c.slots--
	c.held[s.class]--
	c.queue.Charge(int(s.class), uint16(s.group+1), time.Duration((c.m.now-s.granted)*1e9))
	if !c.m.phase.Down {
		c.idle++
	}
	c.serve()
}

func (c *sidecar) withdraw(s *session) {
	c.queue.Remove(&s.waiter)
	c.left(s)
	c.serve()
}

// left tells the queue that a client has gone before its first answer.
func (c *sidecar) left(s *session) {
	if s.step == 0 {
		c.queue.Left(int(s.class), time.Duration((c.m.now-s.queued)*1e9))
	}
}

// lost is the end of every connection.
func (c *sidecar) lost() {
	c.idle = 0
	for _, s := range c.m.all {
		if s.slot && s.car == c.id {
			if s.state == token {
				continue
			}
			c.m.stop(s)
		}
	}
	c.idle = 0
}

// tick refuses who is late, as pool.Run does.
func (c *sidecar) tick() {
	now := c.m.clock()
	for w := c.queue.Expire(now); w != nil; w = c.queue.Expire(now) {
		c.m.refused(w.Value)
	}
	c.serve()
}

// look is the side channel's sample.
func (c *sidecar) look() {
	if c.dials.Open() && c.opening == 0 {
		c.login() // the side channel tries for everybody
	}
	if c.m.phase.Blind || c.m.phase.Down {
		return
	}
	c.sampled = c.m.now
	c.settleConvoys()
	c.seen.blocked = c.blocked
	c.seen.peers, c.seen.foreign = max(0, c.m.active-c.running), c.m.phase.Foreign
	if c.m.sc.NoBoard {
		c.seen.peers, c.seen.foreign = 0, c.seen.peers+c.seen.foreign
	}
}

// step asks the law.
func (c *sidecar) step() {
	c.account()
	sig := limit.Signals{
		Run: c.runTime, Bound: time.Duration(c.boundTime * 1e9), Cap: c.cap, Down: c.dials.Open(),
		Lag: time.Duration(c.m.phase.Burn * 2e9),
	}
	if c.sampled >= 0 {
		sig.Sampled, sig.SampleAge = true, time.Duration((c.m.now-c.sampled)*1e9)
		sig.Blocked, sig.Peers, sig.Foreign = c.seen.blocked, c.seen.peers, c.seen.foreign
	}
	c.runTime, c.boundTime = 0, 0
	d := c.law.Step(c.m.clock(), sig)
	c.m.result.decided(c.m.now, int(c.id), d)
	if c.down && !c.m.phase.Down || c.m.rng.Float64() < 0.25/retryLogin {
		c.down = false
	}
	c.serve()
}

// refused ends a try that the guard turned away.
func (m *sim) refused(s *session) {
	m.result.refused(int(s.class))
	m.failed(s)
}
