package auth

import (
	"errors"
	"net"
	"os/user"
	"strconv"
	"syscall"
)

// PeerUID is the number of the user of the system who runs the process at the other end of a unix socket.
func PeerUID(nc net.Conn) (int, error) {
	c, ok := nc.(syscall.Conn)
	if !ok {
		return 0, errors.New("it is no unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return int(cred.Uid), nil
}

// PeerName is the name of the user of the system who runs the process at the other end of a unix socket.
func PeerName(nc net.Conn) (string, error) {
	uid, err := PeerUID(nc)
	if err != nil {
		return "", err
	}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return "", err
	}
	return u.Username, nil
}
