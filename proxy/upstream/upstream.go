package upstream

import (
	"cmp"
	"time"
)

// Upstream names a PostgreSQL instance and how to log in to it. Where there are several hosts it is at one of them at a time.
type Upstream struct {
	Host           string // a host name, an address, or a directory for a unix socket, or @NAME for an abstract one
	Port           int
	Database       string // the name at the server; empty: the name the client gave
	User           string // whose password Password is, and who the side channel logs in as
	Password       string // never logged, never in an error
	ConnectTimeout time.Duration
	Passfile       string  // libpq's password file; empty: $PGPASSFILE, else ~/.pgpass
	HostAddr       string  // the address to connect to; empty: what Host resolves to
	More           []Place // the other hosts, in their order
	Session        string  // target_session_attrs; empty: any
	Shuffle        bool    // load_balance_hosts=random: hosts, and addresses of a name, are in any order
	TLS            Security
	Socket         Socket
	Protocol       Protocol
}

// OwnDatabase is the one that the upstream's own user is in: the one it names, else that of the user's name.
func (u Upstream) OwnDatabase() string { return cmp.Or(u.Database, u.User) }
