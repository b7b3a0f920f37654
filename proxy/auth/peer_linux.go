package auth

import (
	"errors"
	"net"
	"os/user"
	"strconv"
	"syscall"
)

// PeerName is the name of the user of the system who runs the process at the other end of a unix socket.
func PeerName(nc net.Conn) (string, error) {
	c, ok := nc.(syscall.Conn)
	if !ok {
		return "", errors.New("it is no unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return "", err
	}
	var cred *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return "", err
	}
	if failed != nil {
		return "", failed
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(cred.Uid), 10))
	if err != nil {
		return "", err
	}
	return u.Username, nil
}
