package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"pgguard/proxy/sock"
)

// supervisor is who started the process and asks to be told how it is: systemd, or what speaks its language (sd_notify). nil: nobody asks.
type supervisor struct {
	conn  net.Conn
	where [2]string     // the socket, and how long it waits, in its words
	over  atomic.Bool   // it is another process's
	every time.Duration // it takes a process that is silent for twice as long for dead; 0: it does not
	log   *slog.Logger
}

// newSupervisor reads from the environment who asks, and removes it there: programs that the guard starts are not the guard.
func newSupervisor(log *slog.Logger) *supervisor {
	socket, pid, usec := takeVariable("NOTIFY_SOCKET"), takeVariable("WATCHDOG_PID"), takeVariable("WATCHDOG_USEC")
	if socket == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", socket) // @ at the start is an abstract one, for Go as for systemd
	if err != nil {
		log.Warn("who supervises pgguard cannot be told how it is", "error", err)
		return nil
	}
	s := &supervisor{conn: conn, log: log, where: [2]string{socket, usec}}
	if n, err := strconv.ParseInt(usec, 10, 64); err == nil && n > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		s.every = time.Duration(n) * time.Microsecond / 2
	}
	return s
}

// takeVariable returns a variable of the environment and removes it.
func takeVariable(name string) string {
	value := os.Getenv(name)
	_ = os.Unsetenv(name) // fails for no name of ours
	return value
}

// tell sends assignments, in one message.
func (s *supervisor) tell(assignments ...string) {
	if s == nil || s.over.Load() {
		return
	}
	if _, err := s.conn.Write([]byte(strings.Join(assignments, "\n"))); err != nil {
		s.log.Warn("who supervises pgguard cannot be told how it is", "error", err)
	}
}

// ready says that clients are served.
func (s *supervisor) ready(listen []string) {
	s.tell("READY=1", "STATUS=serving at "+strings.Join(listen, ", "))
}

// reloading says that the configuration is read again, until reloaded says that it is.
func (s *supervisor) reloading() {
	s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

func (s *supervisor) reloaded() { s.tell("READY=1") }

// stopping says that the guard drains, and how long that may take.
func (s *supervisor) stopping(grace time.Duration) {
	const after = 10 * time.Second // from the end of the grace time to that of the process
	s.tell("STOPPING=1", "STATUS=letting transactions finish", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (grace+after).Microseconds()))
}

// environment has another process find it.
func (s *supervisor) environment() []string {
	if s == nil {
		return nil
	}
	return []string{"NOTIFY_SOCKET=" + s.where[0], "WATCHDOG_USEC=" + s.where[1]}
}

// succeededBy says that another process is what it supervises, and nothing more.
func (s *supervisor) succeededBy(pid int) {
	if s != nil {
		s.tell("MAINPID=" + strconv.Itoa(pid))
		s.over.Store(true)
	}
}

// watch says that the guard lives each time that alive has returned, until stop is called.
func (s *supervisor) watch(alive func()) (stop func()) {
	if s == nil || s.every == 0 {
		return func() {}
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(done)
		t := time.NewTicker(s.every)
		defer t.Stop()
		for {
			alive()
			s.tell("WATCHDOG=1")
			select {
			case <-t.C:
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-done }
}

// close ends the connection.
func (s *supervisor) close() {
	if s != nil {
		_ = s.conn.Close()
	}
}

// firstHanded is the first file descriptor that is handed over (SD_LISTEN_FDS_START).
const firstHanded = 3

// handedSockets are those that systemd has bound for this process (LISTEN_FDS), which programs that it starts do not get.
func handedSockets() (*sock.Handed, error) {
	pid, count := takeVariable("LISTEN_PID"), takeVariable("LISTEN_FDS")
	_ = takeVariable("LISTEN_FDNAMES")
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1000 {
		return nil, fmt.Errorf("LISTEN_FDS=%q is not a number of sockets", count)
	}
	var files []*os.File
	for fd := firstHanded; fd < firstHanded+n; fd++ {
		syscall.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), fmt.Sprintf("file descriptor %d", fd)))
	}
	return sock.NewHanded(files)
}

// allTaken returns an error if sockets were handed over that no address of the configuration is for: clients who come there would wait for ever.
func allTaken(h *sock.Handed) error {
	left := h.Left()
	if len(left) == 0 {
		return nil
	}
	var names []string
	for _, a := range left {
		names = append(names, a.String())
	}
	return usageError{fmt.Errorf("%s was handed over (ListenStream= of the socket unit), but is neither under listen nor http", strings.Join(names, ", "))}
}
