package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"pgguard/proxy/upstream"
)

// adviceOn is what to do about a login to an upstream that has failed; empty: the error says it, or nobody knows.
func adviceOn(err error, u upstream.Upstream) string {
	var se *upstream.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &se):
		return adviceOnRefusal(se, u)
	case errors.As(err, &dns):
		return "is the name right, and does this machine's resolver know it? hostaddr=ADDRESS does without"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: is PostgreSQL running, is the port right, and does listen_addresses have the address?"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing answers there: is the address right, and does a firewall let the port through?"
	case errors.Is(err, fs.ErrNotExist):
		return "the file that is named does not exist, or not for the user who runs this: give its path from the root"
	case errors.Is(err, fs.ErrPermission):
		return "the user who runs this may not read it"
	}
	return ""
}

// adviceOnRefusal is adviceOn for what PostgreSQL itself says against a login.
func adviceOnRefusal(se *upstream.Error, u upstream.Upstream) string {
	switch {
	case se.Code == "28P01":
		return fmt.Sprintf("either there is no user %q, or his password is another one, which PostgreSQL does not say: try it with psql; "+
			"give it in the upstream, in the password file, or by upstream_password", u.User)
	case se.Code == "28000" && strings.Contains(string(se.Body), "pg_hba.conf"):
		return "add a line for this user, database and address to pg_hba.conf there, and reload it; no encryption means that TLS was not used, which a line with hostssl " +
			"demands (sslmode=require)"
	case se.Code == "28000":
		return fmt.Sprintf("create the user there (CREATE ROLE %q LOGIN), or name another in the upstream", u.User)
	case se.Code == "3D000":
		return fmt.Sprintf("there is no database %q: name another in the upstream", u.OwnDatabase())
	case se.Code == "53300":
		return "all connections are in use: raise max_connections, or the limit of the user or database"
	}
	return ""
}
