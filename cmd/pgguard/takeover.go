package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"

	"pgguard/proxy"
	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/sock"
)

// passageVariable, when set, is the number of the file by which a process is to take the place of the one that has started it.
const passageVariable = "PGGUARD_PASSAGE"

// inherit asks the guard whose place this process is to take for its listeners; nil: it takes nobody's.
func inherit(ctx context.Context, f *config.File, asked bool) (*proxy.Inheritance, error) {
	p, err := passageTo(f, asked)
	if p == nil || err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, f.Takeover.Timeout.Std())
	defer stop()
	return proxy.Inherit(ctx, p, versionName())
}

// passageTo is the way to that guard: to who has started this process, or by the socket of the configuration, if asked.
func passageTo(f *config.File, asked bool) (*sock.Passage, error) {
	if text := takeVariable(passageVariable); text != "" {
		fd, err := strconv.Atoi(text)
		if err != nil || fd < firstHanded {
			return nil, fmt.Errorf("%s=%q is not the number of a file", passageVariable, text)
		}
		return sock.FilePassage(os.NewFile(uintptr(fd), "passage"))
	}
	switch {
	case !asked:
		return nil, nil
	case f.Takeover.Socket == "":
		return nil, usageError{errors.New("--takeover needs takeover.socket in the configuration")}
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: f.Takeover.Socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("take over: no pgguard answers: %w", err)
	}
	if err := isOurs(c); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("take over: %w", err)
	}
	return sock.NewPassage(c), nil
}

// isOurs is an error if the process at the other end of a unix socket is another user's.
func isOurs(c net.Conn) error {
	uid, err := auth.PeerUID(c)
	if err == nil && uid != os.Geteuid() {
		err = fmt.Errorf("it is a process of the user %d, this one of %d", uid, os.Geteuid())
	}
	return err
}

// succession waits for a process that is to take this one's place.
type succession struct {
	s       *service
	done    chan struct{} // closed when one has
	control net.Listener  // nil: there is none
}

// listenForSuccessors binds the socket by which one may come, and has it start with run.
func (s *service) listenForSuccessors() (*succession, error) {
	n := &succession{s: s, done: make(chan struct{})}
	path := s.file.Takeover.Socket
	if path == "" {
		return n, nil
	}
	control, err := controlAt(s.handed, path)
	if err != nil && s.bouncer != nil { // which has not asked for it
		s.log.Warn("no process can take the place of this one by -R", "error", err)
		return n, nil
	}
	n.control = control
	return n, err
}

// controlAt is the socket at a path, for processes of this user.
func controlAt(handed *sock.Handed, path string) (net.Listener, error) {
	l, err := proxy.TakeSocket(handed, path)
	if err != nil {
		return nil, fmt.Errorf("takeover.socket %s: %w", path, err)
	}
	if err = os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("takeover.socket: %w", err)
	}
	return l, nil
}

// run serves who comes, and starts one at each SIGUSR2, until one has taken over or ctx ends.
func (n *succession) run(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	if n.s.bouncer == nil { // PgBouncer means something else by it
		notifyUpgrade(asked)
	}
	defer signal.Stop(asked)
	come := make(chan *sock.Passage)
	if n.control != nil {
		defer beside(func(ctx context.Context) { n.accept(ctx, come) })()
		defer func() { _ = n.control.Close() }() // before that, which it ends
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case p := <-come:
			err = n.handOver(ctx, p, nil)
		case <-asked:
			err = n.start(ctx)
		}
		if err == nil {
			close(n.done)
			return
		}
		n.s.log.Error("nobody has taken over; everything is as before", "error", err)
	}
}

// accept lets processes of the same user in, one after the other, until the socket closes.
func (n *succession) accept(ctx context.Context, come chan<- *sock.Passage) {
	for {
		c, err := n.control.Accept()
		if err != nil {
			return
		}
		if err := isOurs(c); err != nil {
			n.s.log.Warn("somebody else wants to take over", "error", err)
			_ = c.Close()
			continue
		}
		p := sock.NewPassage(c.(*net.UnixConn))
		select {
		case come <- p:
		case <-ctx.Done():
			_ = p.Close()
			return
		}
	}
}

// handOver has the process at the other end take over, within takeover.timeout; end ends it, nil: it is not this one's to end.
func (n *succession) handOver(ctx context.Context, p *sock.Passage, end func()) error {
	var others []net.Listener
	if l := n.s.listensHTTP.Load(); l != nil {
		others = append(others, *l)
	}
	if n.control != nil {
		others = append(others, n.control)
	}
	return n.s.guard.HandOver(ctx, proxy.Successor{Passage: p, Within: n.s.file.Takeover.Timeout.Std(), End: end}, others...)
}

// start starts this program again, which may be another one by now, with the same command line, and has it take over.
func (n *succession) start(ctx context.Context) error {
	if os.Getpid() == 1 {
		return errors.New("SIGUSR2 starts no process in the place of the first of a container, with whose end everything there ends")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ours, theirs, err := sock.Pair()
	if err != nil {
		return err
	}
	defer func() { _ = theirs.Close() }() // which the process has a copy of
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(append(os.Environ(), n.s.boss.environment()...), passageVariable+"="+strconv.Itoa(firstHanded))
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{theirs}
	n.s.log.Info("SIGUSR2: starting the next process", "program", self)
	if err := cmd.Start(); err != nil {
		_ = ours.Close()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // when it ends, which may be after this process
	_ = theirs.Close()
	if err := n.handOver(ctx, ours, func() { _ = cmd.Process.Kill() }); err != nil {
		_ = cmd.Process.Kill()
		return errors.Join(err, <-ended)
	}
	n.s.boss.succeededBy(cmd.Process.Pid)
	return nil
}

// handedOver serves who is still here, until nobody is, or takeover.grace is over, or a signal comes; then it is as if this process were told to end.
func (s *service) handedOver(ctx context.Context) error {
	s.bouncer.leavePID()
	wait, stop := context.WithTimeout(ctx, s.file.Takeover.Grace.Std())
	defer stop()
	left := make(chan error, 1)
	go func() { left <- s.guard.AwaitHandedOver(wait) }() // ends with stop
	why := "takeover.grace is over"
	select {
	case err := <-left:
		if err == nil {
			s.log.Info("everybody is with the next process")
			return nil
		}
	case sig := <-s.signals:
		why = sig.String()
	case how := <-s.ends:
		why = "SHUTDOWN " + string(how)
	}
	return s.drain(ctx, why)
}
