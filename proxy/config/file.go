package config

import (
	"log/slog"
	"time"

	"pgguard/proxy"
)

// File is one checked configuration, defaults filled in. Its fields are the keys of the file, in the order in which
// Effective prints them; deploy/pgguard.yaml says what each does.
type File struct {
	Listen             []Listen            `yaml:"listen"`
	HTTP               string              `yaml:"http"`
	Pprof              bool                `yaml:"pprof"`
	Mode               Mode                `yaml:"mode"`
	Upstream           Upstream            `yaml:"upstream"`
	Password           Password            `yaml:"upstream_password"`
	Pool               Pool                `yaml:"pool"`
	Classes            []Class             `yaml:"classes"`
	Databases          map[string]Database `yaml:"databases"`
	Users              map[string]User     `yaml:"users"`
	MaxClients         int                 `yaml:"max_clients"`
	ClientsPerDatabase Auto                `yaml:"max_clients_per_database"`
	ClientsPerUser     Auto                `yaml:"max_clients_per_user"`
	MaxLogins          Auto                `yaml:"max_logins_per_address"`
	LoginTimeout       Duration            `yaml:"login_timeout"`
	DisconnectAfter    DisconnectAfter     `yaml:"disconnect_after"`
	WriteTimeout       Duration            `yaml:"write_timeout"`
	PeerTimeout        Duration            `yaml:"peer_timeout"`
	CancelTimeout      Duration            `yaml:"cancel_timeout"`
	DeferBegin         bool                `yaml:"defer_begin"`
	Shutdown           Shutdown            `yaml:"shutdown"`
	Takeover           Takeover            `yaml:"takeover"`
	Log                Log                 `yaml:"log"`
	Auth               Auth                `yaml:"auth"`
	TLS                TLS                 `yaml:"tls"`
	Admin              Admin               `yaml:"admin"`
	Incidents          Incidents           `yaml:"incidents"`
	ShowQueries        bool                `yaml:"show_queries"`
	NoticeAfter        Duration            `yaml:"notice_after"`
	Exemplars          bool                `yaml:"exemplars"`
	OTLP               OTLP                `yaml:"otlp"`
	Reload             bool                `yaml:"reload_on_change"`

	LikePgBouncer bool   `yaml:"-"` // no key: the file is PgBouncer's, and the guard in its place
	SecretsIn     string `yaml:"-"` // no key: the name of the file, if secrets stand in it
}

// OTLP says where metrics and spans are sent to.
type OTLP struct {
	URL      string   `yaml:"url"` // empty: nowhere
	Interval Duration `yaml:"interval"`
}

// Incidents says where decisions and incidents are kept beyond the life of the process.
type Incidents struct {
	File string `yaml:"file"` // empty: nowhere
	Size int    `yaml:"size"` // MiB
	Keep int    `yaml:"keep"`
}

// DisconnectAfter says after how long a client is disconnected; 0: never, or for a user as for all.
type DisconnectAfter struct {
	Statement         Duration `yaml:"statement"`
	Transaction       Duration `yaml:"transaction"`
	IdleInTransaction Duration `yaml:"idle_in_transaction"`
	Idle              Duration `yaml:"idle"`
}

// Admin says who may see, and change, what the guard does.
type Admin struct {
	Users      []string `yaml:"users"`
	StatsUsers []string `yaml:"stats_users"`
	TokenFile  string   `yaml:"token_file"`
	TLS        AdminTLS `yaml:"tls"`
}

// AdminTLS says how callers of the HTTP pages come over TLS; without a certificate nobody does.
type AdminTLS struct {
	Cert      string `yaml:"cert"`
	Key       string `yaml:"key"`
	ClientCA  string `yaml:"client_ca"`
	ClientCRL string `yaml:"client_crl"`
}

// Listen is one address that clients connect to, written as a text or as a mapping.
type Listen struct {
	Addr  string  `yaml:"addr"`
	Class string  `yaml:"class"`
	TLS   TLSMode `yaml:"tls"` // empty: that of the File
	// SocketMode and SocketGroup are of a unix socket.
	SocketMode  SocketMode `yaml:"socket_mode"`
	SocketGroup string     `yaml:"socket_group"`
}

// Password is where the password of an upstream's own user comes from that is not in it.
type Password struct {
	File    string   `yaml:"file"`
	Command []string `yaml:"command"`
	Cache   Duration `yaml:"cache"`
}

// Pool says how many servers there are and how long they are kept.
type Pool struct {
	Mode                  PoolMode `yaml:"mode"`
	MaxServers            Auto     `yaml:"max_servers"`
	MaxServersPerLogin    Auto     `yaml:"max_servers_per_login"`
	MaxServersPerDatabase Auto     `yaml:"max_servers_per_database"`
	MaxServersPerUser     Auto     `yaml:"max_servers_per_user"`
	ReservePerLogin       int      `yaml:"reserve_servers_per_login"`
	ReserveAfter          Duration `yaml:"reserve_after"`
	MinServersPerLogin    int      `yaml:"min_servers_per_login"`
	Limit                 Auto     `yaml:"limit"`
	Dials                 int      `yaml:"dials"`
	IdleTimeout           Duration `yaml:"idle_timeout"`
	Lifetime              Duration `yaml:"lifetime"`
	MaxPreparedStatements int      `yaml:"max_prepared_statements"`
	StatementAge          Duration `yaml:"statement_age"`
	PreparedMemory        int      `yaml:"prepared_memory"` // MiB
	PrepareUnnamed        bool     `yaml:"prepare_unnamed"`
	MaxPinned             Auto     `yaml:"max_pinned"`
	SyncApplicationName   bool     `yaml:"sync_application_name"`
	// Learned is a directory, auto or off.
	Learned string `yaml:"learned"`
}

// Class is one kind of work and how to recognise it.
type Class struct {
	Name     string   `yaml:"name"`
	Weight   int      `yaml:"weight"`
	MaxWait  Duration `yaml:"max_wait"`
	MaxQueue int      `yaml:"max_queue"`
	MaxShare float64  `yaml:"max_share"`
	// Interactive is queue.Class.Interactive.
	Interactive bool    `yaml:"interactive"`
	Match       []Match `yaml:"match"`
}

// Match holds what a client must be for the class: every field that is not empty.
type Match struct {
	Listener        string  `yaml:"listener"`
	Database        string  `yaml:"database"`
	User            string  `yaml:"user"`
	ApplicationName Pattern `yaml:"application_name"`
	Tag             string  `yaml:"tag"`
	TagValue        Pattern `yaml:"tag_value"`
}

// Database is an exception for one database name.
type Database struct {
	Upstream Upstream          `yaml:"upstream"`
	User     string            `yaml:"user"`
	Settings map[string]string `yaml:"settings"`
	Pool     DatabasePool      `yaml:"pool"`

	MaxClients Auto   `yaml:"max_clients"`
	Auth       Lookup `yaml:"auth"`
}

// DatabasePool is the part of Pool that can differ between databases.
type DatabasePool struct {
	Mode               PoolMode `yaml:"mode"`
	MaxServers         Auto     `yaml:"max_servers"`
	MaxServersPerLogin Auto     `yaml:"max_servers_per_login"`
	ReservePerLogin    Own      `yaml:"reserve_servers_per_login"`
	MinServersPerLogin Own      `yaml:"min_servers_per_login"`
	Lifetime           Duration `yaml:"lifetime"` // 0: as Pool's
}

// User is an exception for one user: numbers of servers by the name under which those are logged in to, of clients by how they call themselves.
type User struct {
	MaxServers         Auto `yaml:"max_servers"`
	MaxServersPerLogin Auto `yaml:"max_servers_per_login"`
	ReservePerLogin    Own  `yaml:"reserve_servers_per_login"`
	MaxClients         Auto `yaml:"max_clients"`

	DisconnectAfter DisconnectAfter `yaml:"disconnect_after"`
}

// Shutdown says how the first SIGTERM or SIGINT is obeyed.
type Shutdown struct {
	AcceptWhileDraining bool     `yaml:"accept_while_draining"`
	Grace               Duration `yaml:"grace"`
	IdleGrace           Duration `yaml:"idle_grace"`
}

// Takeover says how another process takes this one's place while clients are served.
type Takeover struct {
	Socket  string   `yaml:"socket"` // empty: none
	Timeout Duration `yaml:"timeout"`
	Grace   Duration `yaml:"grace"`
}

// Log says what the log looks like and how much of it there is.
type Log struct {
	Format LogFormat `yaml:"format"`
	Level  LogLevel  `yaml:"level"`
	// SlowQuery is how long a statement may take without a line; 0: as long as it likes.
	SlowQuery Duration `yaml:"slow_query"`
}

// TLS says how clients come over TLS.
type TLS struct {
	Mode      TLSMode `yaml:"mode"`
	Cert      string  `yaml:"cert"`
	Key       string  `yaml:"key"`
	ClientCA  string  `yaml:"client_ca"`
	ClientCRL string  `yaml:"client_crl"`
}

// Default returns the configuration of an empty file. Its Upstream is missing, so it is not complete.
func Default() *File {
	d := proxy.Default()
	f := &File{
		HTTP: "127.0.0.1:9432",
		Mode: "enforce",
		Pool: Pool{
			Mode:       "transaction",
			MaxServers: Auto(d.Pool.MaxServers),
			Limit:      Auto(d.Limit),

			ReserveAfter: Duration(d.ReserveAfter),

			Dials:       d.Pool.Dials,
			IdleTimeout: Duration(d.Pool.IdleTimeout),
			Lifetime:    Duration(d.Pool.Lifetime),

			MaxPreparedStatements: d.MaxPrepared,
			StatementAge:          Duration(d.StatementAge),
			PreparedMemory:        int(d.PreparedMemory >> 20),
			PrepareUnnamed:        d.PrepareUnnamed,
			MaxPinned:             Auto(d.MaxPinned),
			SyncApplicationName:   d.SyncApplicationName,
			Learned:               "auto",
		},
		Password:           Password{Command: []string{}, Cache: Duration(d.Password.Cache)},
		Databases:          map[string]Database{},
		Users:              map[string]User{},
		MaxClients:         d.MaxClients,
		ClientsPerDatabase: Auto(d.ClientsPerDatabase),
		ClientsPerUser:     Auto(d.ClientsPerUser),
		MaxLogins:          Auto(d.MaxLoginsPerAddress),
		LoginTimeout:       Duration(d.LoginTimeout),
		WriteTimeout:       Duration(d.WriteTimeout),
		PeerTimeout:        Duration(d.PeerTimeout),
		CancelTimeout:      Duration(d.CancelTimeout),
		DeferBegin:         d.DeferBegin,
		Shutdown: Shutdown{
			AcceptWhileDraining: d.AcceptWhileDraining, Grace: Duration(d.Grace), IdleGrace: Duration(d.IdleGrace),
		},
		Takeover: Takeover{Timeout: Duration(30 * time.Second), Grace: Duration(time.Hour)},

		Log:  Log{Format: "text", Level: LogLevel(slog.LevelInfo)},
		Auth: Auth{Method: "trust", Users: map[string]AuthUser{}, Rules: []AuthRule{}},
		TLS:  TLS{Mode: "off"},

		OTLP:      OTLP{Interval: Duration(time.Minute)},
		Incidents: Incidents{Size: 16, Keep: 4},
		Admin:     Admin{Users: []string{}, StatsUsers: []string{}},
	}
	for _, l := range d.Listen {
		f.Listen = append(f.Listen, Listen{Addr: l.Addr, Class: l.Class})
	}
	for _, k := range d.Pool.Classes {
		c := Class{
			Name: k.Name, Weight: k.Weight, MaxWait: Duration(k.MaxWait), MaxQueue: k.MaxLength, MaxShare: k.MaxShare,
			Interactive: k.Interactive,
			Match:       []Match{},
		}
		for _, r := range d.Rules {
			if r.Class == k.Name {
				c.Match = append(c.Match, Match{
					Listener: r.Listener, Database: r.Database, User: r.User, ApplicationName: Pattern{r.ApplicationName},
					Tag: r.Tag, TagValue: Pattern{r.TagValue},
				})
			}
		}
		f.Classes = append(f.Classes, c)
	}
	return f
}
