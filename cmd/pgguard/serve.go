package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/admin"
	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/console"
	"pgguard/proxy/dashboard"
	"pgguard/proxy/sock"
	"pgguard/proxy/witness"
)

// serveCmd runs the guard.
type serveCmd struct {
	Config   string `short:"c" env:"PGGUARD_CONFIG" placeholder:"FILE" help:"Configuration file; without one, the defaults."`
	Takeover bool   `help:"Take the place of the pgguard that runs with this configuration, and its clients (takeover.socket)."`
	settings `embed:""`
	Bouncer  bouncerFlags `embed:""`
}

// guard is the proxy as serve drives it; proxy.Server is the one that runs.
type guard interface {
	Listen() error
	Serve(ctx context.Context) error
	Shutdown(ctx context.Context) error
	Drain(ctx context.Context, idle time.Duration) error
	Close() error
	Addrs() []net.Addr
	Ready() error
	AwaitClients(ctx context.Context) error
	TakeOver(ctx context.Context, in *proxy.Inheritance) error
	HandOver(ctx context.Context, n proxy.Successor, others ...net.Listener) error
	AwaitHandedOver(ctx context.Context) error
	Reload(cfg proxy.Config) error
	witness.Guard
	Advise(upstream, sentence string, after time.Duration)
	operated
}

// operated is what who knows the token may do with it.
type operated interface {
	Pause(ctx context.Context, name string) error
	Resume(name string) error
	Paused() bool
	Signal(ctx context.Context, upstream string, pid int32, end bool) error
	Tell(e event.Event)
	Stragglers() []proxy.Straggler
}

// Run joins the parts and serves until a signal ends it.
func (c *serveCmd) Run(e *env) error {
	if c.Bouncer.given() {
		return c.Bouncer.run(e, c)
	}
	hangups := e.serves()
	first, err := c.readAgain(nil)
	if err != nil {
		return usageError{err}
	}
	again := &live{read: c.readAgain, path: c.Config, hangups: hangups}
	log := again.begin(first, e.err)
	e.log.tellBy(log)
	return serve(e.ctx, again, log, nil, c.Takeover)
}

// serve joins the parts and serves until a signal, an operator or ctx ends it; b is nil unless it is in PgBouncer's place; take: it is to take
// the place of one that runs.
func serve(ctx context.Context, again *live, log *slog.Logger, b *bouncer, take bool) error {
	leaveProcessors()
	f := again.file()
	cfg, err := toGuard(f, log, b)
	if err != nil {
		return err
	}
	if b != nil {
		if err := b.begin(log); err != nil {
			return err
		}
		defer b.close()
	}
	again.doubt(f)
	traces := newTraces(f)
	cfg.Spans = traces.spans
	orders := newOrders(again)
	desk := console.New(orders.config())
	cfg.Console = desk.Serve
	boss := newSupervisor(cfg.Log)
	defer boss.close()
	if cfg.Handed, err = handedSockets(); err != nil {
		return err
	}
	heritage, err := inherit(ctx, f, take)
	if err = b.sought(cfg.Log, heritage != nil, err); err != nil {
		return err
	}
	if heritage != nil {
		defer heritage.Close()
		cfg.Handed = heritage.Handed
	}
	g, err := proxy.New(cfg)
	if err != nil {
		return err
	}
	pages, err := pageCertificates(f, cfg.Log)
	if err != nil {
		return err
	}
	defer beside(func(ctx context.Context) { desk.Run(ctx, g) })()
	signals := make(chan os.Signal, 2) // the second must not be lost while the first is obeyed
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	orders.before, orders.after = boss.reloading, boss.reloaded
	again.apply = func(next *config.File) error { return applyTo(g, pages, next, again, b) }
	again.note, orders.behind = g.Note, g.Stragglers
	if b != nil {
		signal.Notify(signals, syscall.SIGQUIT)
		orders.before = func() { boss.reloading(); _ = b.file.reopen() } // which logs what is wrong
		defer beside(func(ctx context.Context) { obeyUserSignals(ctx, log, g) })()
	}
	defer obeyHangups(again.hangups, orders.reload)()
	defer again.watch(orders.reload)()
	s := service{file: f, live: again, guard: g, pages: pages, boss: boss, handed: cfg.Handed, heritage: heritage, signals: signals, ends: orders.ends, see: &orders.see, log: cfg.Log, bouncer: b, traces: traces}
	return s.run(ctx)
}

// obeyHangups has the configuration read again at each SIGHUP, until stop is called. After that one changes nothing: the end has come.
func obeyHangups(hangups <-chan os.Signal, reload func(by string) ([]string, error)) (stop func()) {
	return beside(func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				_, _ = reload("SIGHUP") // which logs what has changed, and what is wrong
			}
		}
	})
}

// newLog returns the log that l describes, written to w; its level is in level, which may change.
func newLog(l config.Log, w io.Writer, level *slog.LevelVar) *slog.Logger {
	level.Set(slog.Level(l.Level))
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// service is one run of the guard and of the HTTP server beside it.
type service struct {
	file     *config.File // at the start
	live     *live
	guard    guard
	pages    *auth.Certificates // nil: they are served without TLS
	boss     *supervisor
	handed   *sock.Handed
	heritage *proxy.Inheritance // nil: it takes nobody's place
	signals  <-chan os.Signal
	ends     <-chan console.End               // an operator's; nil: none come
	see      *atomic.Pointer[witness.Witness] // for operators; nil: there are none
	log      *slog.Logger
	bouncer  *bouncer // nil: it is not in PgBouncer's place
	traces   traces

	listensHTTP atomic.Pointer[net.Listener] // of the pages; nil: there is none yet
}

// now is the configuration in effect.
func (s *service) now() *config.File { return s.live.file() }

// run listens, serves, and drains at the first signal or when ctx ends. It returns nil if every transaction could finish.
func (s *service) run(ctx context.Context) error {
	if err := s.bind(ctx, s.guard.Listen); err != nil {
		return err
	}
	defer func() { _ = s.guard.Close() }() // after a drain there is nothing left that could fail
	see, board, stopLooking := s.look()
	defer stopLooking()
	defer s.export(see)()
	httpAddr, closeHTTP, err := s.serveHTTP(ctx, see, board)
	if err != nil {
		return err
	}
	defer closeHTTP()
	next, err := s.settleIn(ctx)
	if err != nil {
		return err
	}
	var listen []string
	for _, a := range s.guard.Addrs() {
		listen = append(listen, a.String())
	}
	s.log.Info("serving", "listen", listen, "http", httpAddr, "upstream", s.file.Upstream.String(),
		"mode", string(s.file.Mode), "version", versionName())
	s.bouncer.serving()

	s.boss.ready(listen)
	defer s.boss.watch(func() { s.guard.Stats() })()
	defer beside(next.run)()
	served := make(chan error, 1)
	go func() { served <- s.guard.Serve(context.WithoutCancel(ctx)) }() // ends with Shutdown or Close
	why := "the end of its context"
	select {
	case err := <-served:
		return err
	case <-next.done:
		closeHTTP()
		return s.handedOver(context.WithoutCancel(ctx))
	case sig := <-s.signals:
		if s.bouncer != nil {
			return s.bouncer.end(s, sig)
		}
		why = sig.String()
	case how := <-s.ends:
		why = "SHUTDOWN " + string(how)
		if s.bouncer != nil && how != console.EndNow {
			return s.bouncer.obey(s, how)
		}
		if how == console.EndClients {
			how = s.awaitClients(context.WithoutCancel(ctx))
		}
		if how == console.EndNow {
			s.log.Info("ending at once", "why", why)
			return nil
		}
	case <-ctx.Done():
	}
	return s.drain(context.WithoutCancel(ctx), why)
}

// settleIn takes the place of another guard, if it is to, and gives the sockets up that were handed over, of which there are copies now.
func (s *service) settleIn(ctx context.Context) (*succession, error) {
	next, err := s.listenForSuccessors()
	if err != nil {
		return nil, err
	}
	if err = allTaken(s.handed); err != nil && s.heritage != nil {
		s.log.Warn("an address of the guard before is not of this one: clients who come there are refused", "error", err)
		err = nil
	}
	if err == nil && s.heritage != nil {
		bound, stop := context.WithTimeout(ctx, s.file.Takeover.Timeout.Std())
		err = s.guard.TakeOver(bound, s.heritage)
		stop()
	}
	if err != nil && next.control != nil {
		_ = next.control.Close()
	}
	if err != nil {
		return nil, err
	}
	s.handed.Close()
	if s.bouncer != nil && s.heritage != nil {
		if err := s.bouncer.pid(true); err != nil {
			s.log.Error("the pidfile names the process before", "error", err)
		}
	}
	return next, nil
}

// sameSignal is how soon after the first a second signal is the same one, sent twice: supervisors signal a process and its group.
const sameSignal = time.Second

// drain finishes transactions within the grace time; a second signal ends it at once, unless it is the first, sent twice.
func (s *service) drain(ctx context.Context, why string) error {
	grace := s.now().Shutdown.Grace
	s.log.Info("ending", "signal", why, "grace", grace.String())
	s.boss.stopping(grace.Std())
	ctx, cancel := context.WithTimeout(ctx, grace.Std())
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.guard.Shutdown(ctx) }() // ends with ctx at the latest
	for began := time.Now(); ; {
		select {
		case err := <-drained:
			if err != nil {
				return fmt.Errorf("drain within %s: %w", grace, err)
			}
			s.log.Info("stopped")
			return nil
		case how := <-s.ends:
			if how == console.EndNow {
				return errors.New("ended at once by SHUTDOWN")
			}
		case sig := <-s.signals:
			if time.Since(began) >= sameSignal {
				return fmt.Errorf("ended at once by a second signal (%s)", sig)
			}
			s.log.Info("the same signal again; a second one ends pgguard at once from now on in", "signal", sig.String(),
				"seconds", (sameSignal - time.Since(began)).Seconds())
		}
	}
}

// awaitClients has nobody come in any more and waits until the clients have left, or somebody is not patient any more. It returns how to end then.
func (s *service) awaitClients(ctx context.Context) console.End {
	ctx, stop := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() { left <- s.guard.AwaitClients(ctx) }() // ends with stop
	defer func() { stop(); <-left }()
	for {
		select {
		case err := <-left:
			left <- err
			return console.EndServers
		case <-s.signals:
			return console.EndServers
		case how := <-s.ends:
			if how != console.EndClients {
				return how
			}
		}
	}
}

// look has a witness look at the guard, until stop is called.
func (s *service) look() (see *witness.Witness, board *dashboard.Board, stop func()) {
	c := witness.Config{Guard: s.guard, Observe: func() bool { return s.now().Mode == "observe" }, Log: s.log, Journal: witness.Journal{
		Path: s.file.Incidents.File, Size: int64(s.file.Incidents.Size) << 20, Keep: s.file.Incidents.Keep,
	}}
	if s.bouncer == nil { // else the guard tells who waits, in PgBouncer's words
		c.Advise = func(upstream, sentence string) {
			if after := s.now().NoticeAfter.Std(); after > 0 {
				s.guard.Advise(upstream, sentence, after)
			}
		}
	}
	see = witness.New(c)
	if s.see != nil {
		s.see.Store(see)
	}
	board = dashboard.New(dashboard.Source{
		Incidents: see.Incidents, Events: s.events, Version: versionName(), Mode: func() string { return string(s.now().Mode) }, Paused: s.guard.Paused,
	})
	return see, board, beside(func(ctx context.Context) { see.Run(ctx, board.Take) })
}

// events are the decisions after the one with this number, as the pages may tell them, and how many are forgotten.
func (s *service) events(since uint64) ([]event.Event, uint64) {
	return s.live.shown(s.guard.Events(since))
}

// listenerOfPages is what the pages are served on: l, or as soon as a guard that drains has left their address; nil: ctx has ended before.
func (s *service) listenerOfPages(ctx context.Context, l net.Listener) net.Listener {
	if l == nil {
		l = s.awaitHTTP(ctx)
	}
	if l == nil {
		return nil
	}
	s.listensHTTP.Store(&l)
	if s.pages == nil {
		return l
	}
	return tls.NewListener(l, s.pages.Config())
}

// serveHTTP serves the pages about the guard, now or as soon as a guard that drains has left their address. It returns that address,
// "off" for none.
func (s *service) serveHTTP(ctx context.Context, see *witness.Witness, board *dashboard.Board) (addr string, stop func(), err error) {
	if s.file.HTTP == "off" {
		return "off", func() {}, nil
	}
	if err := s.live.readToken(s.file); err != nil {
		return "", nil, err
	}
	l, err := s.bindHTTP(ctx)
	if err != nil {
		return "", nil, err
	}
	addr = s.file.HTTP
	if l != nil {
		addr = l.Addr().String()
	}
	server := admin.Server(admin.Handler(admin.Options{
		Ready: s.guard.Ready,
		State: func() any {
			st := admin.NewState(s.guard.Stats(), versionName(), string(s.now().Mode), s.guard.Ready())
			st.Verdicts = see.Verdicts()
			return st
		},
		Events: func(since uint64) any {
			return admin.NewEvents(s.events(since))
		},
		Verdict:   func() any { return see.Verdict() },
		Incidents: func() any { return see.Incidents() },
		Page:      dashboard.Files(),
		History:   http.HandlerFunc(board.ServeHistory),
		Stream:    http.HandlerFunc(board.Stream),
		Metrics:   promhttp.HandlerFor(s.registry(see), promhttp.HandlerOpts{EnableOpenMetrics: s.file.Exemplars}),
		Acts:      acts(s.guard, see, s.live.assign),
		Config:    s.live.page,
		Token:     s.live.token,
		Version:   versionName(),
		Pprof:     s.file.Pprof,

		Certificates: s.file.Admin.TLS.ClientCA != "",
	}))
	server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug) // of callers who end a handshake: strangers must not fill the log
	done := make(chan struct{})
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	go func() { // ends with stop
		defer close(done)
		l := s.listenerOfPages(ctx, l)
		if l == nil {
			return
		}
		if err := server.Serve(l); err != http.ErrServerClosed && !errors.Is(err, net.ErrClosed) { // another process's now
			s.log.Error("http server ended", "error", err)
		}
	}()
	return addr, func() { end(); _ = server.Close(); <-done }, nil
}
