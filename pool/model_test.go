package pool_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pgguard/pool"
)

// member is a client of the model: what it should have, by the rules of the package's documentation alone.
type member struct {
	*client
	waits  bool
	again  bool // waits for a token for the server it has
	token  bool
	gap    time.Time // when its last statement ended, in a transaction; zero: it has not
	seq    int       // order of asking
	server pool.Lease
	ended  pool.Lease // the last that it gave back
}

// world is a pool beside a naive model of it.
type world struct {
	*harness
	cfg     pool.Config
	limit   int
	short   time.Duration // a gap is short up to this
	until   time.Time     // tokens are kept in those that begin before
	members []*member
	seq     int
	total   int // servers after the last step
	retired map[pool.Conn]bool

	state sync.Mutex // guards the members, fault and served; not held while the pool is called

	fault  string
	served []*member // since the last step
}

// failf keeps the first fault. It is called with state held.
func (w *world) failf(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

// granted checks the promises that hold at the moment of a grant.
func (m *member) granted(w *world, s pool.Lease) {
	running := w.Stats().Running
	w.state.Lock()
	defer w.state.Unlock()
	if !m.waits {
		w.failf("%s was granted something it does not wait for", m.name)
	}
	if n := running + w.gaps(); n > w.limit {
		w.failf("new work began as number %d at a limit of %d", n, w.limit)
	}
	if !m.again {
		w.served = append(w.served, m)
	}
	if !m.again && w.retired[s.Conn] {
		w.failf("%s was lent a server that is retired", m.name)
	}
	for _, o := range w.members {
		if o != m && o.server.Server == s.Server {
			w.failf("%s was lent the server that %s has", m.name, o.name)
		}
	}
	m.waits, m.again, m.token, m.gap, m.server = false, false, true, time.Time{}, s
}

// gaps is how many members have a run token in a short gap. It is called with state held.
func (w *world) gaps() (n int) {
	for _, m := range w.members {
		if !m.gap.IsZero() && time.Since(m.gap) < w.short {
			n++
		}
	}
	return n
}

// grantee joins a member to its world.
type grantee struct {
	m *member
	w *world
}

func (g grantee) Granted(s pool.Lease, _ time.Time, _ time.Duration) { g.m.granted(g.w, s) }

func (g grantee) Refused(error) {
	g.w.state.Lock()
	defer g.w.state.Unlock()
	if !g.m.waits {
		g.w.failf("%s was refused what it does not ask for", g.m.name)
	}
	g.m.waits, g.m.again = false, false
}

// late are all that may be done with a lease. With one that has ended they do nothing: the checks after each step would see it.
var late = []func(*pool.Pool, pool.Lease, time.Time){
	(*pool.Pool).Release, (*pool.Pool).Idle, (*pool.Pool).Park,
	func(p *pool.Pool, l pool.Lease, now time.Time) { p.Discard(l, "late", now) },
	func(p *pool.Pool, l pool.Lease, now time.Time) { p.Busy(l, 0, now) },
	func(p *pool.Pool, l pool.Lease, now time.Time) { p.Stall(l, now, now) },
	func(p *pool.Pool, l pool.Lease, _ time.Time) { p.SetReaped(l) },
	func(p *pool.Pool, l pool.Lease, _ time.Time) { p.SetPinned(l) },
}

// step does one thing of rapid's choice. Nothing moves when it begins.
func (w *world) step(t *rapid.T) {
	m := w.members[rapid.IntRange(0, len(w.members)-1).Draw(t, "who")]
	now := time.Now()
	w.state.Lock() // until the pool is called
	pause := sync.OnceFunc(w.state.Unlock)
	defer pause()
	switch act := rapid.SampledFrom([]string{"ask", "ask", "leave", "leave", "idle", "stall", "busy", "die", "pass", "caps", "login", "retire", "late"}).Draw(t, "act"); {
	case act == "ask" && !m.waits && m.server.Server == nil:
		w.seq++
		m.waits, m.seq = true, w.seq
		m.Class = rapid.IntRange(0, 1).Draw(t, "class")
		m.Key = w.key(rapid.SampledFrom([]string{"app", "other"}).Draw(t, "user"))
		pause()
		w.Get(&m.Waiter, now)
	case act == "ask" && !m.waits && !m.token:
		w.seq++
		m.waits, m.again, m.seq = true, true, w.seq
		s := m.server
		pause()
		w.Again(&m.Waiter, s, now)
	case act == "leave" && m.waits:
		if !w.Withdraw(&m.Waiter) {
			w.failf("%s waits and cannot leave", m.name)
		}
		m.waits, m.again = false, false
	case act == "leave" && m.server.Server != nil:
		discard := rapid.Bool().Draw(t, "discard") // before anything is done: rapid may end the story here
		s := m.server
		m.server, m.token, m.gap, m.ended = pool.Lease{}, false, time.Time{}, s
		pause()
		if discard {
			w.Discard(s, "discarded", now)
		} else {
			w.Release(s, now)
		}
	case act == "idle" && m.token:
		if m.token, m.gap = false, (time.Time{}); now.Before(w.until) {
			m.gap = now
		}
		s := m.server
		pause()
		w.Idle(s, now)
	case act == "stall" && m.token:
		s := m.server
		pause()
		for _, l := range w.Running(nil) { // not of one whose connection has ended
			if l == s {
				w.Stall(l, now, now)
				w.state.Lock()
				m.token = false
				w.state.Unlock()
			}
		}
	case act == "late" && m.ended.Server != nil:
		late := rapid.SampledFrom(late).Draw(t, "late")
		l := m.ended
		pause()
		late(w.Pool, l, now)
	case act == "busy" && m.server.Server != nil && !m.token && !m.waits:
		m.token, m.gap = true, time.Time{}
		s := m.server
		pause()
		w.Busy(s, 0, time.Now())
	case act == "die" && m.server.Server != nil:
		m.server.Conn.(*fakeConn).die()
	case act == "pass":
		pause()
		pass(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
	case act == "caps":
		pause()
		total, others := rapid.IntRange(1, 8).Draw(t, "total"), rapid.IntRange(0, 8).Draw(t, "of other")
		w.SetCaps(pool.Caps{Total: total, Users: map[string]int{"other": others}})
	case act == "retire":
		k := w.key(rapid.SampledFrom([]string{"app", "other"}).Draw(t, "user"))
		pause()
		w.Retire(now, "retired", func(s *pool.Server) bool {
			if s.Key == k && s.Conn != nil {
				w.retired[s.Conn] = true
			}
			return s.Key == k
		})
	case act == "login":
		err := rapid.SampledFrom([]error{nil, nil, errAway, &pool.TooManyError{Err: errAway}, &pool.KeyFullError{Err: errAway}}).Draw(t, "answer")
		w.set(func() { w.fail = err })
	}
	pause()
	synctest.Wait()
	w.check()
}

// first is the first fault found, or "".
func (w *world) first() string {
	w.state.Lock()
	defer w.state.Unlock()
	return w.fault
}

// check compares the pool with the model when nothing moves.
func (w *world) check() {
	st := w.Stats()
	w.state.Lock()
	defer w.state.Unlock()
	for _, m := range w.served {
		for _, o := range w.members {
			if o.waits && !o.again && o.Key == m.Key && o.Class == m.Class && o.seq < m.seq {
				w.failf("%s was served, %s, which asked earlier, still waits", m.name, o.name)
			}
		}
	}
	w.served = nil
	lent, running, waiting, slots := 0, 0, [2]int{}, [2]int{}
	var held []pool.Conn
	for _, m := range w.members {
		if m.server.Server != nil {
			lent++
			slots[m.Class]++
			held = append(held, m.server.Conn)
		}
		if m.token {
			running++
		}
		if m.waits {
			waiting[m.Class]++
		}
	}
	if st.Servers["active"] != lent || st.Running != running {
		w.failf("%d lent and %d running, the model has %d and %d", st.Servers["active"], st.Running, lent, running)
	}
	idle := map[*pool.Key]int{}
	w.set(func() {
		for _, c := range w.conns {
			select {
			case <-c.end:
			default:
				if c.why == "" && !slices.Contains(held, pool.Conn(c)) {
					idle[c.key]++
				}
			}
		}
	})
	if n := idle[w.key("app")] + idle[w.key("other")]; n != st.Servers["idle"] {
		w.failf("%d idle, %d connections are open and not lent", st.Servers["idle"], n)
	}
	total := 0
	for _, n := range st.Servers {
		total += n
	}
	if total > max(st.Cap, w.total) {
		w.failf("%d servers, %d before, at a cap of %d", total, w.total, st.Cap)
	}
	w.total = total
	for i, c := range st.Classes {
		if c.Waiting != waiting[i] || c.Slots != slots[i] {
			w.failf("class %s: %d wait, %d slots; the model has %d and %d", c.Name, c.Waiting, c.Slots, waiting[i], slots[i])
		}
	}
	// While a slot is free nobody waits for one, but for what his class's share leaves to others.
	for _, m := range w.members {
		room := float64(slots[m.Class]) < max(1, math.Ceil(w.cfg.Classes[m.Class].MaxShare*float64(st.Cap)))
		if m.waits && running+w.gaps() < w.limit && (m.again || (idle[m.Key] > 0 && room)) {
			w.failf("%s waits beside a run token and %d idle servers", m.name, idle[m.Key])
		}
	}
}

// TestPoolAgreesWithModel plays any story with eight clients, two classes and two users. On failure rapid prints the
// seed and the shortest story.
func TestPoolAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var fault string
		var stopped any
		servers, limit := rapid.IntRange(1, 7).Draw(rt, "servers"), rapid.IntRange(1, 4).Draw(rt, "limit")
		short := time.Duration(rapid.SampledFrom([]int{0, 1, 5, 20, 2000}).Draw(rt, "short")) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			cfg := small(servers)
			run(t, cfg, limit, false, func(_ *testing.T, h *harness) {
				h.SetShortGap(short)
				w := &world{harness: h, cfg: cfg, limit: limit, short: short, until: time.Now().Add(pool.LooksHold), retired: map[pool.Conn]bool{}}
				for i := range 8 {
					m := &member{client: &client{name: fmt.Sprint("m", i)}}
					m.Waiter = pool.Waiter{Key: h.key("app"), Grantee: grantee{m, w}}
					w.members = append(w.members, m)
				}
				defer w.leave()
				defer func() { stopped, fault = recover(), w.first() }()
				for range rapid.IntRange(1, 60).Draw(rt, "steps") {
					if w.step(rt); w.first() != "" {
						return
					}
				}
			})
		})
		if stopped != nil {
			panic(stopped) // rapid's own way to end a story
		}
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// leave ends what every member has or waits for.
func (w *world) leave() {
	for _, m := range w.members {
		w.Withdraw(&m.Waiter)
	}
	synctest.Wait()
	for _, m := range w.members {
		w.state.Lock()
		s := m.server
		m.server = pool.Lease{}
		w.state.Unlock()
		if s.Server != nil {
			w.Release(s, time.Now())
		}
	}
	synctest.Wait()
}
