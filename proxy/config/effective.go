package config

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"pgguard/pool"
	"pgguard/pool/queue"
	"pgguard/proxy"
	"pgguard/proxy/auth"
	"pgguard/proxy/paper"
)

// Effective returns f as YAML with every key, passwords masked. Parse reads it back to an equal configuration, but for
// the passwords. The caller owns the bytes.
func (f *File) Effective() []byte {
	out, err := yaml.MarshalWithOptions(f, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		panic(fmt.Sprintf("config: a File cannot be printed: %v", err))
	}
	return out
}

// LearnedDir is where what was learned is kept for a restart, which depends on the user that runs the program: in the
// user's own cache, unless the configuration says something else; "" for nowhere.
func (f *File) LearnedDir() string {
	switch f.Pool.Learned {
	case "off":
		return ""
	case "auto":
		dir, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		return filepath.Join(dir, "pgguard")
	}
	return f.Pool.Learned
}

// Token is what callers of the HTTP pages must know, read from its file; "" if there is none.
func (f *File) Token() (string, error) {
	if f.Admin.TokenFile == "" {
		return "", nil
	}
	text, err := paper.Read(f.Admin.TokenFile, paper.Small)
	if err != nil {
		return "", fmt.Errorf("admin.token_file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("admin.token_file: %s is empty", f.Admin.TokenFile)
	}
	return token, nil
}

// PageFiles are what TLS towards callers of the HTTP pages is made of; the zero value: they come without.
func (f *File) PageFiles() auth.Files {
	t := f.Admin.TLS
	if t.Cert == "" {
		return auth.Files{}
	}
	return auth.Files{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA, ClientCRL: t.ClientCRL, Setting: "admin.tls", Protocol: "http/1.1"}
}

// ToProxy returns what a proxy.Server is told, but for LearnedDir. Its Log discards; the caller sets another.
func (f *File) ToProxy() proxy.Config {
	c := proxy.Config{
		MaxClients: f.MaxClients, ClientsPerDatabase: int(f.ClientsPerDatabase), ClientsPerUser: int(f.ClientsPerUser), MaxLoginsPerAddress: int(f.MaxLogins),
		Observe:   f.Mode == "observe",
		Upstream:  f.Upstream.Upstream,
		Password:  proxy.PasswordSource{File: f.Password.File, Command: f.Password.Command, Cache: f.Password.Cache.Std()},
		Databases: map[string]proxy.Database{},
		PerLogin:  int(f.Pool.MaxServersPerLogin), PerDatabase: int(f.Pool.MaxServersPerDatabase), PerUser: int(f.Pool.MaxServersPerUser), Ready: f.Pool.MinServersPerLogin,
		Reserve: f.Pool.ReservePerLogin, ReserveAfter: f.Pool.ReserveAfter.Std(),
		Mode:  f.Pool.Mode.toProxy(),
		Limit: int(f.Pool.Limit),
		Pool: pool.Config{
			MaxServers:  int(f.Pool.MaxServers),
			Dials:       f.Pool.Dials,
			IdleTimeout: f.Pool.IdleTimeout.Std(),
			Lifetime:    f.Pool.Lifetime.Std(),
		},
		LoginTimeout:        f.LoginTimeout.Std(),
		Timeouts:            f.DisconnectAfter.toProxy(),
		WriteTimeout:        f.WriteTimeout.Std(),
		PeerTimeout:         f.PeerTimeout.Std(),
		CancelTimeout:       f.CancelTimeout.Std(),
		DeferBegin:          f.DeferBegin,
		SlowQuery:           f.Log.SlowQuery.Std(),
		MaxPrepared:         f.Pool.MaxPreparedStatements,
		StatementAge:        f.Pool.StatementAge.Std(),
		PreparedMemory:      int64(f.Pool.PreparedMemory) << 20,
		PrepareUnnamed:      f.Pool.PrepareUnnamed,
		MaxPinned:           int(f.Pool.MaxPinned),
		SyncApplicationName: f.Pool.SyncApplicationName,
		ShowQueries:         f.ShowQueries,
		AcceptWhileDraining: f.Shutdown.AcceptWhileDraining,
		Grace:               f.Shutdown.Grace.Std(),
		IdleGrace:           f.Shutdown.IdleGrace.Std(),
		LikePgBouncer:       f.LikePgBouncer,
		TLS: proxy.TLS{Mode: proxy.TLSMode(f.TLS.Mode), Files: auth.Files{
			Cert: f.TLS.Cert, Key: f.TLS.Key, ClientCA: f.TLS.ClientCA, ClientCRL: f.TLS.ClientCRL,
		}},
		Auth:  f.Auth.toProxy(),
		Admin: proxy.Admin{Users: f.Admin.Users, StatsUsers: f.Admin.StatsUsers},
		Log:   slog.New(slog.DiscardHandler),
	}
	for _, l := range f.Listen {
		c.Listen = append(c.Listen, proxy.Listener{
			Addr: l.Addr, Class: l.Class, TLS: proxy.TLSMode(l.TLS), Mode: l.SocketMode.Perm(), Group: l.SocketGroup,
		})
	}
	for name, db := range f.Databases {
		c.Databases[name] = proxy.Database{
			Upstream: db.Upstream.Upstream, Mode: db.Pool.Mode.toProxy(), User: db.User, Settings: db.Settings,
			MaxServers: int(db.Pool.MaxServers), PerLogin: int(db.Pool.MaxServersPerLogin), Reserve: db.Pool.ReservePerLogin.toProxy(), Ready: db.Pool.MinServersPerLogin.toProxy(), MaxClients: int(db.MaxClients),
			Lifetime: db.Pool.Lifetime.Std(),
			Lookup:   proxy.Lookup{Query: db.Auth.Query, User: db.Auth.QueryUser, At: db.Auth.QueryAt},
		}
	}
	for name, u := range f.Users {
		if c.Users == nil {
			c.Users = map[string]proxy.UserLimits{}
		}
		c.Users[name] = proxy.UserLimits{MaxServers: int(u.MaxServers), PerLogin: int(u.MaxServersPerLogin), Reserve: u.ReservePerLogin.toProxy(), MaxClients: int(u.MaxClients), Timeouts: u.DisconnectAfter.toProxy()}
	}
	for _, k := range f.Classes {
		c.Pool.Classes = append(c.Pool.Classes, queue.Class{
			Name: k.Name, Weight: k.Weight, MaxWait: k.MaxWait.Std(), MaxLength: k.MaxQueue, MaxShare: k.MaxShare,
			Interactive: k.Interactive,
		})
		for _, m := range k.Match {
			c.Rules = append(c.Rules, proxy.Rule{
				Class: k.Name, Listener: m.Listener, Database: m.Database, User: m.User,
				ApplicationName: m.ApplicationName.Regexp, Tag: m.Tag, TagValue: m.TagValue.Regexp,
			})
		}
	}
	return c
}

// toProxy returns d as the proxy names it.
func (d DisconnectAfter) toProxy() proxy.Timeouts {
	return proxy.Timeouts{Statement: d.Statement.Std(), Transaction: d.Transaction.Std(), IdleInTransaction: d.IdleInTransaction.Std(), Idle: d.Idle.Std()}
}

// toProxy returns m as the proxy names it.
func (m PoolMode) toProxy() proxy.PoolMode {
	return map[PoolMode]proxy.PoolMode{
		"transaction": proxy.PoolModeTransaction,
		"session":     proxy.PoolModeSession,
		"statement":   proxy.PoolModeStatement,
	}[m]
}
