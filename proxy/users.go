package proxy

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/proxy/auth"
)

// Auth says who may come in.
type Auth struct {
	Policy auth.Policy
	// Users are those whose secrets are known.
	Users map[string]User
	// UsersFile is a list of more, in the form of PgBouncer's userlist.txt; empty: there is none. It is read again when it has changed.
	UsersFile string
	// Query looks up all others in the database of their instance: SQL with the name as $1, or instance.QueryAuto; empty: there are no others.
	Query string
	// QueryDatabase is where that is run, and QueryUser who runs it; empty: those of the upstream.
	QueryDatabase, QueryUser string
	// QueryAt, if not empty, is a database as clients call it: it is run in that one, wherever it is.
	QueryAt string
	// Insecure allows what is seen by others: trust and passwords without TLS, for clients of other machines.
	Insecure bool
}

// User is somebody whose secret is known, or in a file.
type User struct {
	Secret       auth.Secret
	PasswordFile string // read again when it has changed; empty: Secret counts
}

// users are those that the configuration names. Any goroutine may call its methods.
type users struct {
	named  map[string]auth.Secret
	files  map[string]*auth.File // with one password, by user
	list   *auth.File            // nil: there is none
	log    *slog.Logger
	mock   *auth.Mock
	slow   *auth.Slow
	sample atomic.Pointer[auth.Secret] // one that was found: who is not known is asked as its owner is

	mu     sync.Mutex
	warned map[*auth.File]time.Time // guarded by mu: when it was said last that one cannot be read
}

// newUsers are those of a; it reads no file.
func newUsers(a Auth, log *slog.Logger) *users {
	u := &users{named: map[string]auth.Secret{}, files: map[string]*auth.File{}, log: log, mock: auth.NewMock(), slow: new(auth.Slow), warned: map[*auth.File]time.Time{}}
	for name, user := range a.Users {
		if user.PasswordFile != "" {
			u.files[name] = auth.NewPasswordFile(user.PasswordFile)
		} else {
			u.named[name] = user.Secret
		}
	}
	if a.UsersFile != "" {
		u.list = auth.NewUsersFile(a.UsersFile)
	}
	return u
}

// CheckUsers reads every file with users, and returns what is wrong with the first that is.
func CheckUsers(a Auth) error { return newUsers(a, slog.New(slog.DiscardHandler)).load() }

// Passwords returns what is known of passwords beside those in upstreams: what has those of the upstreams' own users, nil if nothing does, and what the secrets of
// users tell. It reads every file with users, and returns what is wrong with the first that is.
func (c *Config) Passwords() (*auth.Source, func(name string) auth.Known, error) {
	u := newUsers(c.Auth, slog.New(slog.DiscardHandler))
	if err := u.load(); err != nil {
		return nil, nil, err
	}
	return c.Password.source(), u.known, nil
}

// load reads every file, and says what is wrong with the first that is.
func (u *users) load() error {
	for name, f := range u.files {
		if err := f.Load(); err != nil {
			return fmt.Errorf("auth.users.%s.password_file: %w", name, err)
		}
	}
	if u.list == nil {
		return nil
	}
	if err := u.list.Load(); err != nil {
		return fmt.Errorf("auth.users_file: %w", err)
	}
	return nil
}

// find returns the secret of a user, as of now.
func (u *users) find(name string) (auth.Secret, bool) {
	if s, ok := u.named[name]; ok {
		return s, true
	}
	if f := u.files[name]; f != nil {
		u.refresh(f)
		return f.Find("")
	}
	if u.list == nil {
		return auth.Secret{}, false
	}
	u.refresh(u.list)
	return u.list.Find(name)
}

// known is what a user's secret tells.
func (u *users) known(name string) auth.Known {
	s, _ := u.find(name)
	if !s.Known() {
		return auth.Known{}
	}
	return s.Know()
}

// knownUser is what the secret of a user of the configuration tells, as of now.
func (srv *Server) knownUser(name string) auth.Known { return srv.users.Load().known(name) }

// warnEvery spaces the log lines about a file that cannot be read.
const warnEvery = 10 * time.Second

// refresh reads a file again if it has changed; what is wrong with it is logged, and what it said before counts.
func (u *users) refresh(f *auth.File) {
	err := f.Load()
	if err == nil {
		return
	}
	now := time.Now()
	u.mu.Lock()
	quiet := now.Sub(u.warned[f]) < warnEvery
	if !quiet {
		u.warned[f] = now
	}
	u.mu.Unlock()
	if !quiet {
		u.log.Warn("a file with users cannot be read; what it said before counts", "error", err)
	}
}

// like notes a secret that was found.
func (u *users) like(s auth.Secret) {
	if u.sample.Load() == nil {
		u.sample.Store(&s)
	}
}

// example is a secret as those that are known are; the zero value if none is.
func (u *users) example() auth.Secret {
	if s := u.sample.Load(); s != nil {
		return *s
	}
	for _, s := range u.named {
		if s.Known() {
			return s
		}
	}
	for _, f := range u.files {
		return f.Sample()
	}
	if u.list != nil {
		return u.list.Sample()
	}
	return auth.Secret{}
}

// names are the users that are named, in no order.
func (u *users) names() []string {
	var names []string
	for name := range u.named {
		names = append(names, name)
	}
	for name := range u.files {
		names = append(names, name)
	}
	if u.list != nil {
		names = append(names, u.list.Names()...)
	}
	return names
}
