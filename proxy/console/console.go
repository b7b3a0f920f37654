package console

import (
	"context"
	"sync/atomic"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
)

// Guard is what the console shows. Any goroutine may call its methods, none of which asks a database. A *proxy.Server is one.
type Guard interface {
	ClientList() []proxy.ClientInfo
	ServerList() []proxy.ServerInfo
	Databases() []proxy.DatabaseInfo
	Operators() []*proxy.Operator
	Listeners() []proxy.ListenerInfo
	UserNames() []string
	Logins() int
	Config() proxy.Config
	Stats() proxy.Stats
	Events(seq uint64) (events []event.Event, missed uint64)
	Statements() map[string][]proxy.Print
	Paused() bool
	Suspend(ctx context.Context) (number uint64, err error)
	Suspended() bool
	Lift(number uint64) bool

	// What follows changes something. The empty name is all databases.
	Pause(ctx context.Context, name string) error
	Resume(name string) error
	Disable(name string, disabled bool) error
	Reconnect(name string) (n int, err error)
	AwaitRetired(ctx context.Context, name string) error
	Kill(name string) error
	KillClient(id uint64) bool
	Tell(e event.Event)
}

// End is a way to shut down.
type End string

// The ways. Nobody is accepted any more with any of them.
const (
	EndNow     End = "now"         // whatever is under way
	EndServers End = "for servers" // when the transactions under way have ended
	EndClients End = "for clients" // when the clients have left by themselves
)

// Setting is one line of SHOW CONFIG.
type Setting struct {
	Key, Value, Default string
	Changeable          bool // without a restart
}

// Config is what a Console is told.
type Config struct {
	// Version is the guard's.
	Version string
	// Settings are the configuration in effect, secrets masked, sorted by key.
	Settings func() []Setting
	// Verdicts are what is wrong with each PostgreSQL, the worst first, and Incidents what was lately, the last first; nil: nobody looks.
	Verdicts  func() []diagnosis.Verdict
	Incidents func() []diagnosis.Incident
	// Reload reads the configuration, and what it names, again for an operator, all of it or, with an error, nothing. It returns a line for each change. Set does the same
	// with a value for one key in the place of what the file says, until the next Reload; a line may say that it means nothing here. Who returns an error has logged it.
	Reload func(by string) (changes []string, err error)
	Set    func(by, key, value string) (changes []string, err error)
	// Shutdown has the program end. It does not wait for that.
	Shutdown func(how End)
}

// Console serves operators. Any goroutine may call its methods.
type Console struct {
	cfg      Config
	commands atomic.Uint64
	averages averages
}

// New returns a Console that knows no averages yet; see Run.
func New(cfg Config) *Console {
	c := &Console{cfg: cfg}
	if cfg.Verdicts == nil {
		c.cfg.Verdicts = func() []diagnosis.Verdict { return nil }
	}
	if cfg.Incidents == nil {
		c.cfg.Incidents = func() []diagnosis.Incident { return nil }
	}
	c.averages.began = time.Now()
	return c
}

// Serve answers an operator of a proxy until he leaves or his connection ends. It is a proxy.Config's Console.
func (c *Console) Serve(srv *proxy.Server, o *proxy.Operator) { c.serve(srv, o) }

// serve is Serve for any Guard.
func (c *Console) serve(g Guard, o *proxy.Operator) {
	s := &session{console: c, guard: g, operator: o, statements: map[string]*statement{}, portals: map[string]*portal{}}
	defer func() { g.Lift(s.suspension) }() // as in PgBouncer: nobody is left who knows of it
	s.run()
}
