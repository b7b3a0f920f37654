package pool

import (
	"context"
	"slices"
	"sync"
	"time"

	"pgguard/pool/limit"
	"pgguard/pool/quantile"
	"pgguard/pool/queue"
)

// capUnknown is the cap until the server's own limits are known: what PgBouncer opens for one database.
const capUnknown = 20

// maxKeys bounds the keys kept for the sake of what is remembered with them; more live only while in use.
const maxKeys = 256

// Pool lends server connections: never more than the cap exist, and new work starts only below the run limit. Who
// cannot be served at once waits in its class's turn. All methods may be called from any goroutine.
type Pool struct {
	cfg    Config
	mixed  bool // there are interactive classes
	free   bool // observe: the limit does not hold anybody up
	dial   Dialer
	ctx    context.Context // ends with the pool; dials depend on it and on nothing else
	cancel context.CancelFunc
	owned  sync.WaitGroup // one for each server, from dial to end

	mu sync.Mutex

	// guarded by mu
	limit   limit.Limit
	queue   *queue.Queue[*Waiter]
	keys    map[string]*Key
	list    []*Key // the same keys, in no order
	servers map[*Server]struct{}
	count   [states]int
	running int
	working int   // servers with a run token
	ran     []int // run tokens in use, by class
	// interactive is when interactive work was seen last.
	interactive time.Time
	// late and lateErrs are of expire, which has one caller.
	late     []*Waiter
	lateErrs []error
	ceiling  int // of the limit; NoCeiling
	refund   refund
	prints   prints
	account  account
	hold     hold
	gaps     gaps
	parked   int // servers lent and kept between transactions
	changes  uint64
	culprit  time.Time // when one was named last
	logging  int       // logins of clients that wait for a server
	own      []int     // waiters that have a server and want a token, by class
	ready    []int     // of noteLocked: who waits in open lanes, by class
	lent     []int     // slots held, by class
	// parkedBy is parked by class.
	parkedBy []int
	cap      capState
	pass     uint64 // searches for the key that is next to have a server
	caps     Caps
	bounded  bool // there is, or was, a key with a Most
	readies  bool // servers are kept ready of some key
	backoff  backoff
	closed   bool
	gates    map[*Gate]struct{} // that are shut
	wait     []histogram        // by class
	logins   map[string]uint64
	would    map[string][]uint64 // by reason, by class: observe mode only

	// canLocked and classOKLocked, made into values once.
	can     func(*queue.Waiter[*Waiter]) bool
	classOK func(int) bool
}

// New returns a pool that opens servers with dial. It does no IO. If observe is true the run limit, the longest waits
// and the queue's bounds are only reported; nobody is refused before the minute that urgent work may wait.
func New(cfg Config, l limit.Limit, observe bool, dial Dialer) *Pool {
	p := &Pool{
		cfg: cfg, dial: dial, limit: l, free: observe,
		queue: queue.New[*Waiter](cfg.Classes), keys: map[string]*Key{}, servers: map[*Server]struct{}{},
		own: make([]int, len(cfg.Classes)), ready: make([]int, len(cfg.Classes)), lent: make([]int, len(cfg.Classes)), ran: make([]int, len(cfg.Classes)),
		parkedBy: make([]int, len(cfg.Classes)), ceiling: NoCeiling, gaps: gaps{usual: quantile.Of(0.99)},
		wait: make([]histogram, len(cfg.Classes)), logins: map[string]uint64{}, would: map[string][]uint64{},
		gates: map[*Gate]struct{}{},
	}
	p.cap.set(cfg.MaxServers)
	p.can, p.classOK = p.canLocked, p.classOKLocked
	p.queue.Favour(p.owedLocked)
	p.queue.Bound(p.laneOpenLocked)
	if observe {
		p.queue.KeepOrder(true)
	}
	p.mixed = cfg.mixed()
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Key returns the key with this name, made and passed to init if it is new. Each call is matched by one Forget.
func (p *Pool) Key(database, user, settings string, init func(*Key)) *Key {
	name := database + "\x00" + user + "\x00" + settings
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.keys[name]
	if k == nil {
		if len(p.keys) >= maxKeys {
			p.dropKeysLocked()
		}
		k = &Key{Database: database, User: user, Settings: settings, lines: make([]line[*Waiter], len(p.cfg.Classes))}
		init(k)
		p.bounded = p.bounded || k.Most != Most{}
		p.keys[name] = k
		p.list = append(p.list, k)
	}
	k.refs++
	return k
}

// Forget ends a use of the key, and says whether it was the last for now.
func (p *Pool) Forget(k *Key) (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k.refs--
	return k.refs == 0
}

// Uses is how many uses the keys of a database have.
func (p *Pool) Uses(database string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.list {
		if k.Database == database {
			n += k.refs
		}
	}
	return n
}

// Databases are those that keys are of.
func (p *Pool) Databases() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := map[string]bool{}
	for _, k := range p.list {
		had[k.Database] = true
	}
	return had
}

// Used says whether any key has a use.
func (p *Pool) Used() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.list, func(k *Key) bool { return k.refs > 0 })
}

func (p *Pool) dropKeysLocked() {
	p.list = p.list[:0]
	for name, k := range p.keys {
		if k.refs == 0 && k.open == 0 {
			delete(p.keys, name)
		} else {
			p.list = append(p.list, k)
		}
	}
}

// Get asks for a server with a slot and a run token. w.Grantee is told, at once or later.
func (p *Pool) Get(w *Waiter, now time.Time) {
	w.own = Lease{}
	p.ask(w, now)
}

// Again asks for a run token for a server that the caller has kept since its last transaction. It is granted in vain if the lease ends
// meanwhile.
func (p *Pool) Again(w *Waiter, l Lease, now time.Time) {
	w.own = l
	p.ask(w, now)
}

func (p *Pool) ask(w *Waiter, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	if err := p.admitLocked(w, now); err != nil {
		p.mu.Unlock()
		w.Grantee.Refused(err)
		return
	}
	p.grantAll(now)
}

// admitLocked puts w in the queue, where grantAll finds it at once if it can be served.
func (p *Pool) admitLocked(w *Waiter, now time.Time) error {
	if w.own.Server == nil && w.Gate != nil && w.Gate.over != nil {
		return w.Gate.over
	}
	if p.closed {
		return ErrClosed
	}
	if w.own.Server == nil && w.Gate != nil && w.Gate.shut {
		w.Gate.hold(w)
		return nil
	}
	if w.own.Server == nil && w.Key.rejected != nil && now.Before(w.Key.retry) && w.losesBy(w.Key) {
		return w.Key.rejected
	}
	w.place.Value, w.place.Class, w.place.Urgent, w.place.Client = w, w.Class, w.Urgent, w.Client
	w.place.Kind, w.place.Lane, w.place.Patience = w.Print, p.laneLocked(w), w.Patience
	if reason := p.queue.Push(&w.place, now); reason != queue.OK {
		if !p.free {
			return p.refusedLocked(w, reason.String(), 0)
		}
		p.wouldLocked(reason.String(), w.Class)
		w.place.Urgent = true
		p.queue.Push(&w.place, now)
	}
	if w.own.Server != nil {
		p.own[w.Class]++
	} else {
		w.Key.lines[w.Class].push(&w.spot, w)
	}
	if w.Login {
		p.logging++
	}
	p.seenLocked(w.Class)
	return nil
}

// leftLocked undoes admitLocked's counts for a waiter taken out of the queue.
func (p *Pool) leftLocked(w *Waiter) {
	if w.own.Server != nil {
		p.own[w.Class]--
	} else {
		w.Key.lines[w.Class].remove(&w.spot)
	}
	if w.Login {
		p.logging--
	}
	p.seenLocked(w.Class)
}

func (p *Pool) wouldLocked(reason string, class int) {
	if p.would[reason] == nil {
		p.would[reason] = make([]uint64, len(p.cfg.Classes))
	}
	p.would[reason][class]++
}

// Withdraw takes w, whose client has gone or does not want it any more, out of the queue. If it returns false, w has been granted or
// refused already, or is being so now.
func (p *Pool) Withdraw(w *Waiter) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.held {
		w.Gate.release(w)
		return true
	}
	if !p.queue.Remove(&w.place) {
		return false
	}
	p.queue.Left(w.Class, now.Sub(w.place.Since()))
	p.leftLocked(w)
	return true
}

// Left tells that the client of a lease has gone, or has cancelled its statement, before it was answered: how long it has waited until then
// is how long clients of its class do. It does nothing if the lease has ended, or if the first statement of it has.
func (p *Pool) Left(l Lease, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := l.Server; l.lastsLocked() && !s.asked.IsZero() {
		p.queue.Left(s.class, now.Sub(s.asked))
		s.asked = time.Time{}
	}
}

// GiveUp is Withdraw by one who is not patient any more: it says what w has waited for in vain, a *RefusedError. It returns nil if w
// has been granted or refused already, or is being so now.
func (p *Pool) GiveUp(w *Waiter, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.held {
		w.Gate.release(w)
		return ErrHeld
	}
	if !p.queue.Remove(&w.place) {
		return nil
	}
	p.leftLocked(w)
	return p.refusedLocked(w, queue.Waited.String(), now.Sub(w.place.Since()))
}

// Decline is Release of what was granted to a client that has gone, or has been told to: nothing was done with it.
func (p *Pool) Decline(l Lease, now time.Time) {
	p.Left(l, now)
	p.mu.Lock()
	if l.lastsLocked() {
		l.Server.declined = true
	}
	p.mu.Unlock()
	p.Release(l, now)
}

// Idle gives the run token back, at once or when the gap until the next statement is not short any more: a statement has ended, the
// server is kept, a transaction open. It does nothing if the lease has ended.
func (p *Pool) Idle(l Lease, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	if l.lastsLocked() && l.running > 0 {
		p.idleLocked(l.Server, now)
		p.beginGapLocked(l.Server)
	}
	p.grantAll(now)
}

// Running appends the leases that hold a run token.
func (p *Pool) Running(out []Lease) []Lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.servers {
		if s.state == Lent && s.running > 0 && !s.dead {
			out = append(out, s.leaseLocked())
		}
	}
	return out
}

// Stall is Idle by who looks on from outside: the server has been found to wait for its client, and to have done so since then. It does
// nothing if the lease has ended. Whoever has the server says Busy when it goes on, which may come first.
func (p *Pool) Stall(l Lease, since, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	if l.lastsLocked() {
		if p.idleLocked(l.Server, now); !l.Server.idle.IsZero() {
			l.Server.idle = since
		}
	}
	p.grantAll(now)
}

// Busy takes a run token without waiting: a statement of this fingerprint begins in an open transaction. It does nothing if
// the lease has ended, because the server has been lost at that moment.
func (p *Pool) Busy(l Lease, index uint16, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tallyLocked(now)
	if !l.lastsLocked() {
		return
	}
	if idle := l.Server.idle; !idle.IsZero() {
		p.gaps.usual.Add(now.Sub(idle))
	}
	p.runLocked(l.Server, index)
}

// Release gives everything back; the server must have nothing outstanding and no transaction open. It does nothing if the lease has ended.
func (p *Pool) Release(l Lease, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	if !l.lastsLocked() {
		p.grantAll(now)
		return
	}
	s := l.Server
	p.endLeaseLocked(s, now)
	switch {
	case s.dead:
		p.removeLocked(s)
	case s.retired != "":
		p.moveLocked(s, Closing, now)
		p.grantAll(now)
		s.Conn.Close(s.retired)
		return
	case p.closed || (!s.expires.IsZero() && now.After(s.expires)) || p.overLocked():
		p.moveLocked(s, Closing, now)
		p.grantAll(now)
		s.Conn.Close("lifetime")
		return
	case p.yieldsLocked(s, now):
		p.moveLocked(s, Closing, now)
		p.grantAll(now)
		s.Conn.Close("room for another user or database")
		return
	default:
		p.moveLocked(s, Idle, now)
	}
	p.grantAll(now)
}

// Discard gives the slot and the token back but not the server, which is closed: its state is not known any more. It does nothing if the
// lease has ended.
func (p *Pool) Discard(l Lease, why string, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	if !l.lastsLocked() {
		p.grantAll(now)
		return
	}
	s := l.Server
	p.endLeaseLocked(s, now)
	dead := s.dead
	if dead {
		p.removeLocked(s)
	} else {
		p.moveLocked(s, Closing, now)
	}
	p.grantAll(now)
	if !dead {
		s.Conn.Close(why)
	}
}

func (p *Pool) endLeaseLocked(s *Server, now time.Time) {
	p.haltLocked(s, s.running)
	p.endGapLocked(s)
	p.unparkLocked(s)
	declined := s.declined
	s.idle, s.pinned, s.reaped, s.declined = time.Time{}, false, false, false
	p.lent[s.class]--
	if !declined {
		p.queue.Charge(s.class, s.kind, now.Sub(s.since))
	}
}

// grantAll grants what can be granted, starts the dials that are wanted, and unlocks. It is called with mu held.
func (p *Pool) grantAll(now time.Time) {
	p.endGapsLocked(now)
	p.queue.Suspend(p.growingLocked(), now)
	p.queue.Advance(now)
	for {
		w, l := p.nextLocked(now)
		if w == nil {
			break
		}
		waited := max(0, now.Sub(w.place.Since())) // somebody read the clock before it came and was later to take the lock
		p.wait[w.Class].observe(waited)
		p.prints.ended[w.Print].Waited += waited
		p.mu.Unlock()
		w.Grantee.Granted(l, now, waited)
		p.mu.Lock()
	}
	evicted := p.growLocked(now)
	p.noteLocked()
	p.timeGapLocked(now)
	p.mu.Unlock()
	if evicted != nil {
		evicted.Conn.Close("room for another user or database")
	}
}

// nextLocked takes the next waiter that can be served out of the queue and gives it its server and token.
func (p *Pool) nextLocked(now time.Time) (*Waiter, Lease) {
	if p.queue.Len() == 0 || (p.logging == 0 && !p.tokenLocked()) {
		return nil, Lease{}
	}
	place := p.queue.Pop(p.classOK, p.can)
	if place == nil {
		return nil, Lease{}
	}
	w := place.Value
	p.leftLocked(w)
	l := w.own
	if l.Server == nil {
		k := w.Key
		s := k.fittestLocked(w.Trait)
		p.moveLocked(s, Lent, now)
		s.class, s.kind = w.Class, w.Print
		s.lease++
		p.lent[w.Class]++
		l = s.leaseLocked()
	}
	if !w.Login && l.lastsLocked() {
		p.runLocked(l.Server, w.Print)
		l.Server.asked, l.Server.patience = place.Since(), w.Patience
	}
	return w, l
}

// fitWithin is how many idle servers are looked at for one that is fit for a waiter: those used last, because this is asked at each grant.
const fitWithin = 16

// fittestLocked is the idle server for a waiter: the one used last of those that are fit for it, else the one used last.
func (k *Key) fittestLocked(t Trait) *Server {
	last := len(k.idle) - 1
	for i := last; i >= 0 && i > last-fitWithin; i-- {
		if k.idle[i].Trait == t {
			return k.idle[i]
		}
	}
	return k.idle[last]
}

// canLocked says whether a waiter can be served now.
func (p *Pool) canLocked(place *queue.Waiter[*Waiter]) bool {
	w := place.Value
	if !w.Login && (!p.tokenLocked() || !w.Urgent && p.keptFromLocked(w.Class) || !p.printLocked(w.Print)) {
		return false
	}
	if w.own.Server != nil {
		return true
	}
	return len(w.Key.idle) > 0 && (w.Urgent || p.roomLocked(w.Class))
}

// classOKLocked says whether looking at a class's line can find anybody.
func (p *Pool) classOKLocked(class int) bool {
	if p.logging == 0 && p.keptFromLocked(class) {
		return false
	}
	return p.own[class] > 0 || (p.count[Idle] > 0 && p.roomLocked(class))
}

// moveLocked is the only place that changes a server's state.
func (p *Pool) moveLocked(s *Server, to State, now time.Time) {
	k := s.Key
	if s.state == Idle {
		for i := len(k.idle) - 1; i >= 0; i-- {
			if k.idle[i] == s {
				k.idle = append(k.idle[:i], k.idle[i+1:]...)
				break
			}
		}
	}
	p.count[s.state]--
	p.count[to]++
	s.state, s.since = to, now
	if to == Idle {
		k.idle = append(k.idle, s)
	}
}

// Usable is false if its lock is held for longer than within: a goroutine has panicked with it, and nothing can go on any more.
func (p *Pool) Usable(within time.Duration) bool {
	for end := time.Now().Add(within); !p.mu.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	p.mu.Unlock()
	return true
}

// SetLimit replaces the law that says how many statements may run.
func (p *Pool) SetLimit(l limit.Limit) {
	now := time.Now()
	p.mu.Lock()
	p.tallyLocked(now)
	p.limit = l
	p.changes++
	p.grantAll(now)
}
