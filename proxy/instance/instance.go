package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/breaker"
	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/pool/limit"
	"pgguard/proxy/auth"
	"pgguard/proxy/upstream"
)

// Instance is one PostgreSQL server and everything that is kept for it: its pool, what its servers reported, whether it
// can be reached. Any goroutine may call its methods.
type Instance struct {
	Pool *pool.Pool // its connections are of type Server

	conf atomic.Pointer[Config]        // see cfg
	door atomic.Pointer[upstream.Door] // see Door

	everUp atomic.Bool   // the server's limits have been read
	everIn atomic.Bool   // a server of the pool has been logged in to
	woken  chan struct{} // the side channel looks at once, at the server's limits, too
	wanted chan struct{} // the side channel looks at once
	born   time.Time

	era      atomic.Uint64 // see Era
	stirs    atomic.Uint64 // see Stirred
	seen     atomic.Uint64 // of stirs, when the side channel looked last
	sees     atomic.Bool   // the last look has succeeded
	clearing atomic.Int64  // see Clear: until when, as nanoseconds since born
	looks    looks
	most     atomic.Int64 // connections that the server allows to those who are no superusers; 0: not known yet
	lag      atomic.Int64 // how late the control loop came at most within the last second
	running  int          // of the side channel's goroutine: statements that were seen to run
	named    [2]int       // of the side channel's goroutine: what its name says
	glimpse  glimpse      // of the side channel's goroutine: of the last look
	glances  uint64       // of the side channel's goroutine: how many were about other entries than the one before

	knocking chan struct{} // holds the right to log in for no use; see Knock

	pinned atomic.Int64 // clients that keep a server between transactions

	open  atomic.Bool                  // the breaker: statements are refused at once
	state atomic.Int32                 // its state, a breaker.State
	moves [breakerStates]atomic.Uint64 // how often it came into each
	told  told                         // by sessions, for the breaker
	tried tried                        // logins outside of the pool
	last  atomic.Pointer[Seen]         // by the side channel
	// sentAway is when a server was last told to go, as in.now(); 0: never.
	sentAway atomic.Int64
	// probes are canaries for the side channel to run. It is the only reader, and who sends does not wait.
	probes  chan breaker.Probe
	convoys convoys      // of the side channel's goroutine
	yielded atomic.Bool  // another process keeps what is learned
	unkept  bool         // of the control loop's: that nothing can be kept has been said
	leases  []pool.Lease // of the control loop: room for Running
	jam     jam          // of the side channel

	made       time.Time
	minute     atomic.Int64  // the last full one since made
	doubts     chan struct{} // the side channel looks who answers
	identified atomic.Int64  // when it last tried to: in.now()
	later      atomic.Int64  // it is to, once what is known is so old (a time.Duration); 0: it is not
	entered    atomic.Bool   // a server has been logged in to since it was looked where the servers are
	answerer   answerer      // of the side channel's goroutine
	confirmed  time.Time     // of the side channel's goroutine: when a connection was dialled that found the answerer
	shutOut    time.Time     // of the side channel's goroutine: when it could not be opened beside the one that there was
	resolved   time.Time     // of the side channel's goroutine: when the upstream's name was looked up last
	here       string        // of the side channel's goroutine: the address at which the upstream was last

	mu sync.Mutex

	// guarded by mu
	lookups    map[Lookup]*lookups // nil: it has ended
	known      map[string]*Params  // by Params.identity; nil: none yet
	knownBytes int                 // of their identities
	catalogs   map[string]*Catalog // by database
	entries    map[string]*Entry   // by database and user
	turns      uint64              // how many entries have had
	newEntries bool                // there are others since the side channel looked
	breaker    *breaker.Breaker
	lastError  error              // of the last login, if it did not reach the server
	said       error              // why a login failed last; nil: none has
	blind      error              // why the side channel could not be opened when it was tried last; nil: it could
	failed     map[string]*failed // by kind of login and user
}

// tried counts logins outside of the pool that failed, as the pool does its own.
type tried struct{ failed, refused atomic.Uint64 }

// breakerStates is how many states a breaker has.
const breakerStates = int(breaker.StateRamp) + 1

// New returns the instance that up names. It does no IO; Run does.
func New(cfg Config, up upstream.Upstream) *Instance {
	if cfg.Prints == nil {
		cfg.Prints = new(Prints)
	}
	in := &Instance{catalogs: map[string]*Catalog{}, woken: make(chan struct{}, 1)}
	in.conf.Store(&cfg)
	in.door.Store(cfg.door(upstream.NewDoor(up)))
	in.entries, in.wanted, in.born = map[string]*Entry{}, make(chan struct{}, 1), time.Now()
	in.breaker = breaker.New(rand.Float64)
	in.probes, in.doubts, in.made = make(chan breaker.Probe, 1), make(chan struct{}, 1), time.Now()
	in.lookups, in.knocking = map[Lookup]*lookups{}, make(chan struct{}, 1)
	in.Pool = pool.New(cfg.Pool, in.law(), cfg.Observe, in.dial)
	return in
}

// cfg is what the instance is told, as of now. It must not be changed.
func (in *Instance) cfg() *Config { return in.conf.Load() }

// Door is the way into the instance, as of now. Its upstream, the first that names the instance, is also the login of the side channel.
func (in *Instance) Door() *upstream.Door { return in.door.Load() }

// door gives d what it needs before it is used.
func (c *Config) door(d *upstream.Door) *upstream.Door {
	d.KeepAlive, d.Secure, d.Source, d.Users = c.KeepAlive, c.Secure, c.Source, c.Users
	return d
}

// Run serves the pool, decides, and watches the server, until ctx ends. It returns when its goroutines have ended.
func (in *Instance) Run(ctx context.Context) {
	var work sync.WaitGroup
	defer in.closeLookups()
	defer work.Wait()
	work.Go(func() { in.control(ctx) })
	work.Go(func() { in.watch(ctx) })
	in.Pool.Run(ctx)
}

// law returns what decides how many statements may run: an operator's number, or what finds it.
func (in *Instance) law() limit.Limit {
	if n := in.cfg().Limit; n > 0 {
		return limit.Frozen(n)
	}
	if in.cfg().Observe {
		// What it tries has no effect on what runs, and an experiment without one would say that concurrency is worth nothing.
		t := limit.Defaults()
		t.NoProbe, t.NoVerify = true, true
		return limit.NewAIMD(limit.Config{Tuning: &t})
	}
	return limit.NewAIMD(limit.Config{})
}

// Name is host:port, or the path of the socket; of several hosts, all.
func (in *Instance) Name() string { return in.Door().Upstream.Address() }

// Catalog returns what is known of a database.
func (in *Instance) Catalog(database string) *Catalog {
	in.mu.Lock()
	defer in.mu.Unlock()
	c := in.catalogs[database]
	if c == nil {
		if len(in.catalogs) >= maxCatalogs {
			in.forgetCatalogsLocked()
		}
		c = newCatalog(in)
		in.catalogs[database] = c
	}
	return c
}

// maxCatalogs bounds those kept of databases that nobody has, or had a moment ago: a client may name any.
const maxCatalogs = 1024

// forgetCatalogsLocked forgets those that nobody can have.
func (in *Instance) forgetCatalogsLocked() {
	had := in.Pool.Databases()
	for database := range in.catalogs {
		if !had[database] {
			delete(in.catalogs, database)
		}
	}
}

// dial opens a server connection; it implements pool.Dialer.
func (in *Instance) dial(ctx context.Context, s *pool.Server) (pool.Conn, error) {
	c, err := in.cfg().Open(ctx, in, s)
	in.dialed(err, time.Now())
	if err != nil {
		in.LogFailed("server login failed", s.Key.User, err, time.Now())
		return nil, err
	}
	in.entered.Store(true)
	in.everIn.Store(true)
	in.strayed(c.At())
	return c, nil
}

// Knock has the caller be the only one who logs in outside of the pool for no use of the connection, until done is called: there is one at most beyond the
// cap. It waits no longer than patience.
func (in *Instance) Knock(ctx context.Context, patience time.Duration) (done func(), ok bool) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case in.knocking <- struct{}{}:
		return func() { <-in.knocking }, true
	case <-timeout.C:
	case <-ctx.Done():
	}
	return nil, false
}

// Tried notes how a login outside of the pool ended. It counts those that failed; err is classified.
func (in *Instance) Tried(err error, now time.Time) {
	var rejected *pool.RejectedError
	switch {
	case err == nil:
	case Answered(err) && !errors.As(err, &rejected):
		in.tried.refused.Add(1)
	default:
		in.tried.failed.Add(1)
	}
	in.dialed(err, now)
}

// dialed tells the breaker how a login ended, and keeps why one failed. A server that answers, whatever it says, can be reached.
func (in *Instance) dialed(err error, now time.Time) {
	reached := err == nil || Answered(err)
	if full := (*pool.KeyFullError)(nil); errors.As(err, &full) {
		in.Wake() // its limit is not known yet, or others have what it allows
	}
	in.mu.Lock()
	if err != nil {
		in.said = err
	}
	in.mu.Unlock()
	if !reached && in.Pool.Live() > 0 {
		return // servers that are lent and answer prove more than a login that fails
	}
	in.mu.Lock()
	in.breaker.Dial(reached, now)
	in.lastError = nil
	if !reached {
		in.lastError = err
	}
	in.mu.Unlock()
	if !reached {
		in.Wake()
	}
}

// Answered is true for a login that the server refused: it can be reached.
func Answered(err error) bool {
	var rejected *pool.RejectedError
	var tooMany *pool.TooManyError
	var full *pool.KeyFullError
	return errors.As(err, &rejected) || errors.As(err, &tooMany) || errors.As(err, &full)
}

// Running returns the leases that hold a run token, until it is called again. It is for the control loop alone, and what that calls.
func (in *Instance) Running() []pool.Lease {
	in.leases = in.Pool.Running(in.leases[:0])
	return in.leases
}

// errNoLogins is why statements are refused where no login has said more.
var errNoLogins = errors.New("the last logins failed")

// Refusing returns why statements are refused at once, or nil.
func (in *Instance) Refusing() error {
	if in.open.Load() && !in.cfg().Observe {
		in.mu.Lock()
		defer in.mu.Unlock()
		return &pool.UnreachableError{Err: cmp.Or(in.lastError, errNoLogins)}
	}
	return nil
}

// logEvery spaces the log lines about logins that fail, which come in torrents: the first of them says what is wrong.
const logEvery = 10 * time.Second

// LogFailed logs that the instance did not let this user of the guard in, and how often since it was said last. Each user and
// kind of login has a line of its own.
func (in *Instance) LogFailed(what, user string, err error, now time.Time) {
	id := what + "\x00" + user
	in.mu.Lock()
	f := in.failed[id]
	if f == nil {
		if in.failed == nil || len(in.failed) >= maxFailed {
			in.failed = map[string]*failed{}
		}
		f = &failed{}
		in.failed[id] = f
	}
	f.unlogged++
	n := f.unlogged
	quiet := now.Sub(f.logged) < logEvery
	if !quiet {
		f.logged, f.unlogged = now, 0
	}
	in.mu.Unlock()
	if quiet {
		return
	}
	about := []any{"upstream", in.Name(), "user", user, "times", n, "error", err}
	if upstream.ForPassword(err) {
		about = append(about, "advice", fmt.Sprintf("give the password of user %q in the upstream (postgres://USER:PASSWORD@HOST/DATABASE, "+
			"or PGGUARD_UPSTREAM), if it is the upstream's own; of any user in the password file (passfile=FILE in the upstream, "+
			"else PGPASSFILE, else ~/.pgpass; only its owner may read it) as HOST:PORT:DATABASE:USER:PASSWORD", user))
	}
	if upstream.ForStartup(err) {
		about = append(about, "advice", "the upstream is no PostgreSQL but a pooler that does not take what pgguard asks of its own session: name PostgreSQL itself in the upstream, "+
			"or have PgBouncer take it (ignore_startup_parameters = search_path, idle_session_timeout, statement_timeout)")
	}
	in.cfg().Log.Warn(what, about...)
	if source := (*auth.SourceError)(nil); errors.As(err, &source) { // what it says itself is for the log alone
		cause := "file"
		if source.Command {
			cause = "command"
		}
		in.Explain(event.Event{Time: now, Kind: event.Secret, Cause: cause, Evidence: event.Of(event.Number{Name: "logins_failed", Value: float64(n)})})
	}
}

// failed is what was logged of a user's logins that failed.
type failed struct {
	logged   time.Time // last
	unlogged int       // since
}

// maxFailed bounds the users that are told apart; with more, all are forgotten and told again.
const maxFailed = 256

// LogLost logs that a server connection ended that the guard did not end, and has the side channel look who answers now.
func (in *Instance) LogLost(pid uint32, lent bool, cause error) {
	in.Doubt(doubtLost)
	in.cfg().Log.Warn("server connection lost", "upstream", in.Name(), "pid", pid, "lent", lent, "error", cause)
}

// LogBug logs a panic in what was done for a server that no client had.
func (in *Instance) LogBug(v any, stack []byte) {
	in.cfg().Log.Error("cleaning panicked", "upstream", in.Name(), "panic", v, "stack", string(stack))
}

// LogRested logs that PostgreSQL ended a server that nobody had used for its idle_session_timeout, which is in order.
func (in *Instance) LogRested(pid uint32) {
	in.cfg().Log.Debug("idle server connection timed out", "upstream", in.Name(), "pid", pid)
}

// SentOff notes that a server was told to go.
func (in *Instance) SentOff(now time.Time) { in.sentAway.Store(int64(now.Sub(in.made))) }

// Restarting is true if a server was told to go just now: PostgreSQL is being restarted.
func (in *Instance) Restarting(now time.Time) bool {
	at := time.Duration(in.sentAway.Load())
	return at != 0 && now.Sub(in.made)-at < time.Second
}

// Pin counts a client that keeps a server between transactions, until Unpin. False: they are more than may.
func (in *Instance) Pin() bool {
	most := in.cfg().MaxPinned
	if most <= 0 {
		most = in.Pool.Keepable()
	}
	return in.pinned.Add(1) <= int64(most)
}

// Unpin ends the count that Pin began.
func (in *Instance) Unpin() { in.pinned.Add(-1) }
