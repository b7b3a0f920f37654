package upstream

import (
	"cmp"
	"slices"
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

// SameWay is true if a server that was logged in to by u is as one that is logged in to by o: to the same addresses, and as safely.
func (u *Upstream) SameWay(o *Upstream) bool {
	return u.Identity() == o.Identity() && u.TLS == o.TLS && u.Socket == o.Socket && u.Protocol == o.Protocol && u.HostAddr == o.HostAddr && slices.Equal(u.More, o.More) && u.Session == o.Session
}

// SameLogin is true if u and o are the same for the guard's own connection.
func (u Upstream) SameLogin(o Upstream) bool {
	return u.SameWay(&o) && u.User == o.User && u.Database == o.Database && u.Passfile == o.Passfile && u.ConnectTimeout == o.ConnectTimeout && u.Shuffle == o.Shuffle
}
