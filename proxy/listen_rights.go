package proxy

import (
	"errors"
	"net"
	"os"
	"os/user"
	"strconv"
)

// grant gives a socket that was bound the mode and the group of its listener; on an error it is closed.
func (l Listener) grant(nl net.Listener) error {
	s, ok := nl.(*socketListener)
	if !ok || l.Mode == 0 && l.Group == "" {
		return nil
	}
	err := l.grantPath(s.path)
	if err != nil {
		err = errors.Join(err, nl.Close())
	}
	return err
}

// grantPath is grant. The group comes first, so that a mode is never another group's.
func (l Listener) grantPath(path string) error {
	if l.Group != "" {
		gid, err := groupID(l.Group)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return err
		}
	}
	if l.Mode != 0 {
		return os.Chmod(path, l.Mode.Perm())
	}
	return nil
}

// groupID is the number of a group, given by its name or as a number.
func groupID(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}
