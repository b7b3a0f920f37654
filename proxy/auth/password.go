package auth

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/jackc/pgpassfile"
)

// ErrNoPassword is why a login cannot go on: it is a fault of the configuration, which trying again does not mend.
var ErrNoPassword = errors.New("server asks for a password, none is configured")

// MD5 returns the answer to AuthenticationMD5Password.
func MD5(user, password string, salt [4]byte) string {
	return salted(digest(user, password), salt)
}

// FromPassfile returns the password for a login in libpq's password file at path, or "". An empty path means the
// usual place. A file that others can read is ignored, as libpq does.
func FromPassfile(path, host, port, database, user string) string {
	if path == "" {
		path = os.Getenv("PGPASSFILE")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		path = filepath.Join(home, ".pgpass")
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return ""
	}
	file, err := pgpassfile.ReadPassfile(path)
	if err != nil {
		return ""
	}
	if len(host) > 0 && host[0] == '/' {
		host = "localhost" // what libpq looks for in the case of a socket in its default directory
	}
	return file.FindPassword(host, port, database, user)
}
