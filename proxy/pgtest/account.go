package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user PostgreSQL runs as. The zero value is this process's own user.
type account struct {
	other    bool // not this process's own user: files have to be handed over
	uid, gid int
}

// findAccount chooses the user: this process's own, unless that is root, which PostgreSQL refuses.
func findAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			continue
		}
		return account{other: true, uid: uid, gid: gid}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

// own hands one file or directory over to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// attr makes a child run as the account, out of reach of the terminal's Ctrl-C.
func (a account) attr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.other {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// longestDir keeps DIR/.s.PGSQL.65535 within a socket address, which holds 104 bytes with its final NUL on macOS
// and 108 on Linux.
const longestDir = 103 - len("/.s.PGSQL.65535")

// makeDir makes the directory of one cluster, short enough for a socket and open to the account only.
func makeDir(a account) (string, error) {
	var errs []error
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		if a.other && !openToAll(parent) {
			errs = append(errs, fmt.Errorf("%s cannot be entered by the user PostgreSQL runs as", parent))
			continue
		}
		dir, err := os.MkdirTemp(parent, "pgguard-pg-")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(dir) <= longestDir {
			return dir, a.own(dir)
		}
		errs = append(errs, fmt.Errorf("%s is too long for a socket", dir), os.Remove(dir))
	}
	return "", fmt.Errorf("make a directory for PostgreSQL: %w", errors.Join(errs...))
}

// openToAll reports whether every user can pass through path and each directory above it.
func openToAll(path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		up := filepath.Dir(path)
		if up == path {
			return true
		}
		path = up
	}
}
