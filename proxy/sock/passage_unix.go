//go:build unix

package sock

import (
	"errors"
	"io"
	"os"
	"syscall"
)

func (p *Passage) sendRights(head []byte, fd int) error {
	_, _, err := p.conn.WriteMsgUnix(head, syscall.UnixRights(fd), nil)
	return err
}

// receiveHead reads head, and the socket that came with it.
func (p *Passage) receiveHead(head []byte) (with *os.File, err error) {
	oob := make([]byte, syscall.CmsgSpace(4)) // one; the kernel keeps the rest to itself
	n, oobn, _, _, err := p.conn.ReadMsgUnix(head, oob)
	if oobn > 0 {
		with = fileIn(oob[:oobn])
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err == nil && n < len(head) {
		_, err = io.ReadFull(p.conn, head[n:])
	}
	if err != nil && with != nil {
		err = errors.Join(err, with.Close())
		with = nil
	}
	return with, err
}

// fileIn is the file in what came beside the bytes; nil: there is none. It is not for programs that are started.
func fileIn(oob []byte) *os.File {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var first *os.File
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			if f := os.NewFile(uintptr(fd), "handed over"); first == nil {
				first = f
			} else {
				_ = f.Close()
			}
		}
	}
	return first
}

// Pair returns the two ends of one passage: this process's, and one for a program that it starts.
func Pair() (ours *Passage, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "passage")
	if ours, err = FilePassage(os.NewFile(uintptr(fds[0]), "passage")); err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
