package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/library"
	"pgguard/proxy/sock"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// Server accepts clients and joins each to a server connection only while it has work in progress. Its methods may be
// called from any goroutine.
type Server struct {
	conf    atomic.Pointer[Config] // see cfg; never changed, only replaced
	log     *slog.Logger
	classes map[string]int
	count   *counters
	times   *times
	keys    keyring
	logins  pace // of clients
	start   time.Time

	heard   time.Time                   // of lookAround: when it last looked whether clients are there
	refused map[Reason]refusalsTold     // of lookAround
	slows   ration                      // of lines about slow statements
	denials ration                      // of lines about logins that failed
	lent    []*backend                  // of lookAround: room for those that it looks at
	standby standby                     // of lookAround
	library *library.Library            // statements of all clients
	users   atomic.Pointer[users]       // that the configuration names
	prints  instance.Prints             // numbers of statements, for the law
	events  *event.Ring                 // what was decided
	source  atomic.Pointer[auth.Source] // of the upstreams' passwords; nil: none
	mantle  atomic.Pointer[mantle]      // nil: nobody can come over TLS

	ids atomic.Uint64 // given to clients, servers and operators

	draining        atomic.Bool
	suspended       atomic.Uint64 // the number of the Suspend under way; 0: none. It begins with mu held
	closedToClients atomic.Bool   // only operators are let in any more
	leaves          atomic.Bool   // a reload may have left an instance that no database is at
	sendsOff        atomic.Bool   // who is between transactions is told to go
	accepts         atomic.Int32  // loops of accept: one more connection may come of each

	heir     atomic.Pointer[heir]     // nil: this process has not handed over
	giving   atomic.Pointer[heir]     // who may take the right to serve from it now, or may have when it was told to end; nil: nobody
	ancestor atomic.Pointer[ancestor] // nil: no process is left whose place this one has taken

	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	work     sync.WaitGroup // background goroutines
	sessions sync.WaitGroup // logged-in clients

	handing   sync.Mutex // held while another process is to take over
	reloading sync.Mutex // held during Reload; before settling
	settling  sync.Mutex // held while the gate of a database is shut or opened; before mu

	mu        sync.Mutex
	listeners []*listener                   // guarded by mu
	shut      bool                          // guarded by mu: nobody is accepted any more
	instances map[string]*instance.Instance // guarded by mu
	endings   map[*instance.Instance]func() // guarded by mu: what ends each
	lobby     lobby                         // guarded by mu
	crowded   int                           // guarded by mu: guests closed for others, since that was logged
	crowdedAt time.Time                     // guarded by mu: when it was
	entered   map[*session]struct{}         // guarded by mu
	greeted   map[*session]struct{}         // guarded by mu: whom an order is about that ends clients, and who have not entered yet
	databases map[string]*database          // guarded by mu: those that are, or were, asked for
	paused    bool                          // guarded by mu: all of them
	suspends  uint64                        // guarded by mu: ever
	operators map[*Operator]struct{}        // guarded by mu
	past      Totals                        // guarded by mu: of clients that have left
	admitted  int                           // guarded by mu: logins that may go on and have not entered
	heads     heads                         // guarded by mu: who of them, of those that entered and of the operators, has which name
	served    chan struct{}                 // closed when Serve may return
	once      sync.Once
}

// listener is one bound address.
type listener struct {
	Listener
	socket net.Listener
}

// New returns a Server for cfg, or every fault of cfg joined. It does no IO.
func New(cfg Config) (*Server, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	srv := &Server{
		log: cfg.Log, classes: map[string]int{}, start: time.Now(),
		count: newCounters(len(cfg.Pool.Classes)), times: newTimes(len(cfg.Pool.Classes)),
		keys:      keyring{owners: map[uint32]owner{}},
		logins:    newPace(runtime.GOMAXPROCS(0)),
		instances: map[string]*instance.Instance{}, endings: map[*instance.Instance]func(){}, entered: map[*session]struct{}{}, greeted: map[*session]struct{}{},
		databases: map[string]*database{}, operators: map[*Operator]struct{}{},
		served: make(chan struct{}), refused: map[Reason]refusalsTold{}, library: library.New(cfg.PreparedMemory),
		events: event.New(event.Size), standby: standby{routes: map[string]*route{}},
	}
	srv.conf.Store(&cfg)
	srv.source.Store(cfg.Password.source())
	if srv.log == nil {
		srv.log = slog.New(slog.DiscardHandler)
	}
	srv.users.Store(newUsers(cfg.Auth, srv.log))
	for i, c := range cfg.Pool.Classes {
		srv.classes[c.Name] = i
	}
	srv.ctx, srv.stop = context.WithCancel(context.Background())
	return srv, nil
}

// cfg is what the Server is told, as of now: who needs two values that belong together asks once. It must not be changed.
func (srv *Server) cfg() *Config { return srv.conf.Load() }

// Listen reads the certificates for TLS and the files with users, and binds every address that Config.Handed does not have; on an error none stays bound, and it may be called again.
func (srv *Server) Listen() error {
	if err := srv.loadCertificates(); err != nil {
		return err
	}
	if err := srv.users.Load().load(); err != nil {
		return err
	}
	cfg := srv.cfg()
	port := SocketPort(cfg.Listen)
	for _, l := range cfg.Listen {
		nl, err := srv.take(l.Addr, port)
		if err == nil {
			err = l.grant(nl)
		}
		if err != nil {
			_ = srv.closeListeners()
			srv.mu.Lock()
			srv.listeners, srv.shut = nil, false
			srv.mu.Unlock()
			return fmt.Errorf("listen %s: %w", l.Addr, err)
		}
		srv.mu.Lock()
		srv.listeners = append(srv.listeners, &listener{l, nl})
		srv.mu.Unlock()
	}
	return nil
}

// Addrs are the bound addresses.
func (srv *Server) Addrs() []net.Addr {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var out []net.Addr
	for _, l := range srv.listeners {
		out = append(out, l.socket.Addr())
	}
	return out
}

// Serve accepts and serves clients until Shutdown or Close has finished, or ctx ends, which closes.
func (srv *Server) Serve(ctx context.Context) error {
	if up := srv.cfg().Upstream; up.Host != "" {
		srv.instanceFor(up)
	}
	srv.mu.Lock()
	listeners := srv.listeners
	if srv.ctx.Err() == nil { // Close, which waits for them, has yet to take mu
		for _, l := range listeners {
			srv.work.Add(1)
			srv.accepts.Add(1)
			go srv.accept(l)
		}
	}
	if srv.ctx.Err() == nil {
		srv.work.Go(srv.endOverdue)
	}
	srv.mu.Unlock()
	if len(listeners) == 0 {
		return errors.New("serve: nothing is listened on")
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	srv.lookAround()
	return nil
}

// accept takes clients until the listener closes.
func (srv *Server) accept(l *listener) {
	defer srv.work.Done()
	defer srv.accepts.Add(-1)
	pause := time.Millisecond
	for {
		nc, err := l.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors or memory: those who are in are served, others wait in the kernel's queue.
			srv.log.Error("accept", "listener", l.Addr, "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-srv.ctx.Done():
				return
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		if tcp, ok := nc.(*net.TCPConn); ok {
			_ = tcp.SetKeepAliveConfig(sock.KeepAlive(srv.cfg().PeerTimeout))
		}
		if !srv.arrive(nc) {
			continue
		}
		srv.work.Add(1)
		go func() {
			defer srv.work.Done()
			defer srv.caught(nc)
			srv.welcome(nc, l)
		}()
	}
}

// lookAround lets every connection look for an end that made no edge, and sees whether somebody stays, until there is no
// connection any more: a server may end while the Server closes.
func (srv *Server) lookAround() {
	t := time.NewTicker(sock.LookEvery)
	defer t.Stop()
	for {
		select {
		case <-srv.served:
			return
		case <-t.C:
		}
		stay := false
		for _, s := range srv.all() {
			s.conn.Look()
			if s.heldUp.Load() && s.conn.Gone() {
				s.end(io.EOF)
			}
			stay = stay || time.Since(s.since) >= staying
		}
		srv.logins.on.Store(stay)
		for _, in := range srv.allInstances() {
			in.Pool.Each(func(c pool.Conn) { c.(*backend).conn.Look() })
		}
		srv.tellRefusals(time.Now())
		srv.endSilent(time.Now())
		srv.tellWaiting(time.Now())
		srv.keepReady(time.Now())
		srv.endEmptied()
	}
}

// caught keeps a bug in one login from ending the process.
func (srv *Server) caught(nc net.Conn) {
	if p := recover(); p != nil {
		srv.bug("login", p)
		_ = nc.Close()
		srv.leaveLobby(nc)
	}
}

// admit counts a client of this name of a database whose login may go on. The error is the answer to one that is too many.
func (srv *Server) admit(s *session, database string) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if len(srv.entered)+srv.admitted >= srv.cfg().MaxClients {
		return srv.tooMany("guard: client connection limit reached", "no more connections allowed (max_client_conn)")
	}
	if err := srv.roomLocked(database, s.user); err != nil {
		return err
	}
	srv.admitted++
	s.admitted = true
	s.head = head{database, s.user}
	srv.heads.add(s.head, 1)
	if g := srv.lobby.guests[sock.Socket(s.conn.Conn)]; g != nil {
		srv.lobby.counted(g, time.Now())
	}
	return nil
}

// dismiss ends the count that admit began.
func (srv *Server) dismiss(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if s.admitted {
		srv.heads.add(s.head, -1)
	}
	srv.enteredLocked(s)
}

// enteredLocked has a client not be counted among those who log in any more.
func (srv *Server) enteredLocked(s *session) {
	if s.admitted {
		s.admitted = false
		srv.admitted--
	}
	delete(srv.greeted, s)
}

// enters has a client be in from now on, whoever is about to serve it: what it is told next is that it may ask.
func (srv *Server) enters(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.greeted[s] = struct{}{}
}

// clientFailed answers and logs a login that did not succeed.
func (srv *Server) clientFailed(s *session, nc net.Conn, err error) {
	socket := nc
	defer func() { _ = srv.leaveLobby(socket) }() // when it is closed, not before
	if s.conn.Conn != nil {
		nc = s.conn.Conn
	}
	var r *Refusal
	var se *upstream.Error
	var out []byte
	switch {
	case errors.Is(err, errCancelRequest):
	case errors.Is(err, errCrowded):
		return // it is closed, and enterLobby tells of it
	case errors.As(err, &r):
		srv.countRefusal(r, s.class)
		out = r.append(nil, true)
	case errors.As(err, &se):
		out = wire.AppendMessage(nil, wire.ErrorResponse, se.Body)
	}
	tell, untold := false, 0
	if !errors.Is(err, errCancelRequest) {
		tell, untold = srv.denials.allow(time.Now())
	}
	if tell { // handed over before the client knows; when it is written is the log's affair
		about := []any{"client", nc.RemoteAddr().String()}
		if u := (*unadmitted)(nil); errors.As(err, &u) {
			about, err = append(about, "database", u.hello.database, "user", u.hello.user), u.err
		}
		srv.log.Info(srv.farewell("client not admitted", errorWords(err), s.since), append(about, "error", err, "untold", untold)...)
		if logged := srv.cfg().Logged; logged != nil {
			logged()
		}
	}
	if len(out) > 0 {
		_ = nc.SetWriteDeadline(time.Now().Add(lastWait))
		_, _ = nc.Write(out)
	}
	_ = nc.Close()
}

// runSession serves one client and cleans up after it.
func (srv *Server) runSession(s *session) {
	defer srv.sessions.Done()
	srv.mu.Lock()
	srv.leaveLobbyLocked(sock.Socket(s.conn.Conn))
	srv.entered[s] = struct{}{}
	srv.joinedLocked(s)
	srv.enteredLocked(s)
	srv.mu.Unlock()
	s.endsAlready()
	err := srv.guarded(s)
	srv.keys.remove(s.key)
	l := srv.goodbye(s, err)
	told := errors.Is(err, errDrained) && srv.ctx.Err() == nil // who was handed over is not: its socket is another process's, too
	if !told {
		_ = s.conn.Conn.Close()
	}
	if l != nil {
		srv.cleans(l)
	}
	if told {
		linger(s.conn.Conn)
	}
	sock.Return(s.in)
	sock.Return(s.after)
	s.in, s.after = nil, nil
	srv.forget(s.route)
	srv.mu.Lock()
	srv.leftLocked(s)
	delete(srv.entered, s)
	srv.mu.Unlock()
}

// endsAlready ends a session that has been told to end before it entered, or whose Server closes.
func (s *session) endsAlready() {
	s.mu.Lock()
	cause := s.close
	s.mu.Unlock()
	if cause == nil && s.srv.ctx.Err() != nil {
		cause = errDrained
	}
	if cause != nil {
		s.kick(cause)
	}
}

// guarded runs the session; a bug in it ends it alone, and its server is not trusted any more.
func (srv *Server) guarded(s *session) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.broke(v)
		}
	}()
	return s.run()
}

// goodbye tells the client why it is closed, if it can still be told, and logs it. It returns the link that must be cleaned, if any.
func (srv *Server) goodbye(s *session, err error) *link {
	var r *Refusal
	var last []byte
	switch {
	case errors.As(err, &r):
		srv.countRefusal(r, s.class)
		last = r.append(nil, true)
	case errors.Is(err, errDrained):
		last = drainedWords()
	}
	level := slog.LevelInfo
	if errors.Is(err, errMoved) {
		level = slog.LevelDebug // it has not
	}
	srv.log.Log(srv.ctx, level, srv.farewell("client gone", reasonOf(err), s.since), "client", remote(s.conn.Conn), "database", s.route.database, "user", s.route.key.User,
		"class", srv.cfg().Pool.Classes[s.class].Name, "seconds", int(time.Since(s.since).Seconds()), "reason", reasonOf(err))
	stop := time.AfterFunc(lastWait, func() { _ = s.conn.Conn.Close() }) // somebody may be writing to it
	l := s.leave(last)
	stop.Stop()
	return l
}

// lastWait bounds how long the last words to a client may take.
const lastWait = time.Second

func remote(nc net.Conn) string {
	if a := nc.RemoteAddr(); a != nil && a.String() != "" {
		return a.String()
	}
	return "unix"
}

// cancelRequest carries out a cancel request; nobody is told how it went, as in PostgreSQL.
func (srv *Server) cancelRequest(p *wire.Startup) {
	result := "unknown"
	if who := srv.keys.find(p.PID, p.Secret); who != nil {
		result = who.cancel()
	} else if a := srv.ancestor.Load(); a != nil && pass(a.p, passCancel, lateCancel{p.PID, p.Secret}) == nil {
		result = "handed_on"
	}
	srv.count.cancels[result].Add(1)
}

// instanceFor returns the instance of an upstream, opened if it is new. Whoever asks first, it is that of the first upstream of the configuration that names it: after a restart
// the side channel logs in as after a reload.
func (srv *Server) instanceFor(up upstream.Upstream) *instance.Instance {
	id := up.Identity()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	in := srv.instances[id]
	fresh := in == nil
	if fresh {
		first, others := up, srv.cfg().instances()[id]
		if len(others) > 0 {
			first = others[0]
		}
		in = instance.New(srv.instanceConfig(), first)
		srv.instances[id] = in
		for _, o := range others {
			in.Door().Learn(o)
		}
	}
	in.Door().Learn(up)
	if fresh && srv.ctx.Err() == nil {
		ctx, stop := context.WithCancel(srv.ctx)
		srv.endings[in] = stop
		srv.work.Go(func() { in.Run(ctx) })
	}
	return in
}

// instanceConfig is what every instance is told.
func (srv *Server) instanceConfig() instance.Config {
	cfg := srv.cfg()
	return instance.Config{
		Pool: cfg.Pool, Observe: cfg.Observe, Limit: cfg.Limit, MaxPinned: cfg.MaxPinned,
		KeepAlive: sock.KeepAlive(cfg.PeerTimeout), Secure: sock.Client, Source: srv.source.Load(), Users: srv.knownUser, MostServers: cfg.ServerFiles, LearnedDir: cfg.LearnedDir,
		Lookups: srv.lookups(),
		Prints:  &srv.prints, ShowQueries: cfg.ShowQueries, Log: srv.log, Events: srv.events, Open: srv.open, Reap: srv.reap,
	}
}

var _ pool.Grantee = (*session)(nil)
