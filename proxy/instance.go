package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/breaker"
	"pgguard/pool"
	"pgguard/pool/limit"
	"pgguard/proxy/upstream"
)

// instance is one PostgreSQL server and everything that is kept for it: its pool, what its servers reported, whether it
// can be reached.
type instance struct {
	srv     *Server
	door    *upstream.Door // its upstream, the first that names it, is also the login of the side channel
	pool    *pool.Pool
	cancels cancels

	everUp atomic.Bool   // the server's limits have been read
	wake   chan struct{} // the side channel looks at once

	pinned atomic.Int64 // clients that keep a server between transactions

	open  atomic.Bool                  // the breaker: statements are refused at once
	state atomic.Int32                 // its state, a breaker.State
	moves [breakerStates]atomic.Uint64 // how often it came into each
	told  told                         // by sessions, for the breaker
	seen  atomic.Pointer[seen]         // by the side channel last
	// sentAway is when a server was last told to go, as time.Time.UnixNano; 0: never.
	sentAway atomic.Int64
	// probes are canaries for the side channel to run. It is the only reader, and who sends does not wait.
	probes   chan breaker.Probe
	convoys  convoys          // of the side channel's goroutine
	identity breaker.Identity // of the side channel's goroutine
	unkept   bool             // of the control loop's: that nothing can be kept has been said

	mu sync.Mutex

	// guarded by mu
	known     map[string]*params  // params by identity
	catalogs  map[string]*catalog // by database
	breaker   *breaker.Breaker
	lastError error     // of a login that did not reach the server
	said      time.Time // when a failed login was logged last
	unsaid    int       // failed logins since
}

// sayEvery spaces the log lines about logins that fail, which come in torrents: the first of them says what is wrong.
const sayEvery = 10 * time.Second

// say logs that the instance did not let the guard in, and how often since it was said last.
func (in *instance) say(what string, err error, now time.Time) {
	in.mu.Lock()
	in.unsaid++
	n := in.unsaid
	quiet := now.Sub(in.said) < sayEvery
	if !quiet {
		in.said, in.unsaid = now, 0
	}
	in.mu.Unlock()
	if !quiet {
		in.srv.log.Warn(what, "upstream", in.name(), "times", n, "error", err)
	}
}

// maxKnown bounds the sets of settings remembered; beyond, they are forgotten and learned again.
const maxKnown = 1024

func newInstance(srv *Server, up upstream.Upstream) *instance {
	in := &instance{srv: srv, door: upstream.NewDoor(up), known: map[string]*params{}, catalogs: map[string]*catalog{}, wake: make(chan struct{}, 1)}
	in.breaker = breaker.New(rand.Float64)
	in.probes = make(chan breaker.Probe, 1)
	in.pool = pool.New(srv.cfg.Pool, in.law(), srv.cfg.Observe, in.dial)
	return in
}

// law returns what decides how many statements may run: an operator's number, or what finds it.
func (in *instance) law() limit.Limit {
	if n := in.srv.cfg.Limit; n > 0 {
		return limit.Frozen(n)
	}
	if in.srv.cfg.Observe {
		// What it tries has no effect on what runs, and an experiment without one would say that concurrency is worth nothing.
		t := limit.Defaults()
		t.NoProbe, t.NoVerify = true, true
		return limit.NewAIMD(limit.Config{Tuning: &t})
	}
	return limit.NewAIMD(limit.Config{})
}

// breakerStates is how many states a breaker has.
const breakerStates = int(breaker.StateRamp) + 1

// name is host:port, or the path of the socket.
func (in *instance) name() string { return in.door.Upstream.Address() }

// intern returns the known params equal to p, so that equal ones are the same pointer.
func (in *instance) intern(p *params) *params {
	id := p.identity()
	in.mu.Lock()
	defer in.mu.Unlock()
	if k := in.known[id]; k != nil {
		return k
	}
	if len(in.known) >= maxKnown {
		clear(in.known)
	}
	in.known[id] = p
	return p
}

// catalog returns what is known of a database.
func (in *instance) catalog(database string) *catalog {
	in.mu.Lock()
	defer in.mu.Unlock()
	c := in.catalogs[database]
	if c == nil {
		c = newCatalog()
		in.catalogs[database] = c
	}
	return c
}

// login is what is remembered for a key: what a client is told when it logs in.
type login struct {
	params  atomic.Pointer[params]
	options []setting // sent in the start-up packet
	lessons lessons
}

// first is what a setting is in a new session, as far as its own start-up packet says, else usual.
func (l *login) first(name, usual string) string {
	for _, o := range l.options {
		if strings.EqualFold(o.name, name) {
			return o.value
		}
	}
	return usual
}

// dial opens a server connection; it implements pool.Dialer.
func (in *instance) dial(ctx context.Context, s *pool.Server) (pool.Conn, error) {
	start := time.Now()
	b, err := in.logIn(ctx, s)
	in.srv.times.login.observe(time.Since(start))
	in.dialed(err, time.Now())
	if err != nil {
		in.say("server login failed", err, time.Now())
		return nil, err
	}
	s.Key.Value.(*login).params.Store(b.params.Load())
	return b, nil
}

// dialed tells the breaker how a login ended. A server that answers, whatever it says, can be reached.
func (in *instance) dialed(err error, now time.Time) {
	var rejected *pool.RejectedError
	var tooMany *pool.TooManyError
	reached := err == nil || errors.As(err, &rejected) || errors.As(err, &tooMany)
	if !reached && in.pool.Live() > 0 {
		return // servers that are lent and answer prove more than a login that fails
	}
	in.mu.Lock()
	in.breaker.Dial(reached, now)
	if !reached {
		in.lastError = err
	}
	in.mu.Unlock()
	if !reached {
		select {
		case in.wake <- struct{}{}:
		default:
		}
	}
}

// refusing returns why statements are refused at once, or nil.
func (in *instance) refusing() error {
	if in.open.Load() && !in.srv.cfg.Observe {
		return &pool.UnreachableError{Err: errors.New("the last logins failed")}
	}
	return nil
}

// ended logs why a server connection ended, if the guard did not end it.
func (in *instance) ended(b *backend, cause error, lent bool) {
	if b.why.Load() != nil {
		return
	}
	if b.fatal != nil {
		cause = upstream.ParseError(b.fatal)
	}
	in.srv.log.Warn("server connection lost", "upstream", in.name(), "pid", b.pid, "lent", lent, "error", cause)
}
