package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"pgguard/proxy/config/pgbouncer"
	"pgguard/proxy/console"
)

// bouncerFlags are PgBouncer's command line. All but the first are for use with it.
type bouncerFlags struct {
	File    string `name:"pgbouncer" placeholder:"INI" help:"Serve in the place of PgBouncer, with its configuration."`
	Daemon  bool   `short:"d" help:"With --pgbouncer: run in the background, once clients can connect."`
	Quiet   bool   `short:"q" help:"With --pgbouncer: do not log to standard error."`
	Verbose int    `short:"v" type:"counter" help:"With --pgbouncer: log more."`
	User    string `short:"u" placeholder:"USER" help:"With --pgbouncer: become this user of the system."`
	Reboot  bool   `short:"R" help:"With --pgbouncer: take the place of the pgguard that runs with this configuration, and its clients."`
}

// given is true if one of them is.
func (b *bouncerFlags) given() bool { return *b != bouncerFlags{} }

// load reads the configuration; overrides win over it.
func (b *bouncerFlags) load(c *serveCmd) (*pgbouncer.Conversion, *reading, error) {
	switch {
	case b.File == "":
		return nil, nil, usageError{errors.New("-d, -q, -v, -u and -R are for use with --pgbouncer")}
	case c.Config != "":
		return nil, nil, usageError{errors.New("--config (PGGUARD_CONFIG) and --pgbouncer are both given; one file is the configuration")}
	}
	first, out, err := b.readAgain(c, nil)
	if err != nil {
		return nil, nil, usageError{err}
	}
	if b.Reboot && first.file.Takeover.Socket == "" {
		return nil, nil, usageError{errors.New("-R needs a unix_socket_dir in the configuration, in which the pgguard that runs is found")}
	}
	if b.User != "" {
		out.Process.User = b.User
	}
	return out, first, nil
}

// run serves until a signal ends it.
func (b *bouncerFlags) run(e *env, c *serveCmd) error {
	background := inBackground()
	starts := b.Daemon && !background
	var hangups <-chan os.Signal
	if !starts {
		hangups = e.serves()
	}
	out, first, err := b.load(c)
	if err != nil {
		return err
	}
	if starts {
		return daemonize(out.Process)
	}
	file := &logFile{path: out.Process.LogFile}
	if !b.Quiet && !background {
		file.also = e.err
	}
	again := &live{hangups: hangups, read: func(set []pgbouncer.Assignment) (*reading, error) {
		r, _, err := b.readAgain(c, set)
		return r, err
	}}
	lines := newSpool(file)
	defer file.close()
	defer lines.close()
	log := again.begin(first, lines)
	file.log = log
	lines.tellBy(log)
	return serve(e.ctx, again, log, &bouncer{process: out.Process, name: b.File, remarks: len(out.Remarks), file: file, lines: lines}, b.Reboot)
}

// forever is how long PgBouncer waits for its clients.
const forever = 100 * 365 * 24 * time.Hour

// bouncer is what is done as PgBouncer does it.
type bouncer struct {
	process pgbouncer.Process
	name    string // of the configuration
	remarks int    // on it
	file    *logFile
	lines   *spool // what is written to it

	removePID func()
}

// begin becomes the user and opens the log file.
func (b *bouncer) begin(log *slog.Logger) error {
	if err := become(b.process.User); err != nil {
		return err
	}
	if err := b.file.open(); err != nil {
		return err
	}
	if b.remarks > 0 {
		log.Info("lines of PgBouncer's configuration mean something else here, or nothing; pgguard convert FILE says which", "file", b.name, "lines", b.remarks)
	}
	return nil
}

// pid writes the pidfile; took: this process has the place of the one whose number is there.
func (b *bouncer) pid(took bool) (err error) {
	write := writePID
	if took {
		write = replacePID
	}
	b.removePID, err = write(b.process.PIDFile)
	return err
}

// leavePID has the pidfile stay when this process ends: it is the next one's, which writes its number there at about that time.
func (b *bouncer) leavePID() {
	if b != nil {
		b.removePID = nil
	}
}

// close removes the pidfile, if there is one of this process.
func (b *bouncer) close() {
	if b.removePID != nil {
		b.removePID()
	}
}

// sought writes the pidfile where this process takes nobody's place: as without -R, if there is nobody. err is why that failed.
func (b *bouncer) sought(log *slog.Logger, found bool, err error) error {
	if b == nil || found {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		log.Info("old process not found, try to continue normally")
		err = nil
	}
	if err != nil {
		return err
	}
	return b.pid(false)
}

// serving tells whoever started this process in the background that clients can connect.
func (b *bouncer) serving() {
	if b != nil {
		tellStarter()
	}
}

// end obeys the signal that came first. SIGTERM lets nobody in any more, and waits until all clients have left; SIGINT waits for their
// transactions; SIGQUIT, and any second signal, waits for nothing.
func (b *bouncer) end(s *service, sig os.Signal) error {
	switch sig {
	case syscall.SIGQUIT:
		s.log.Info("got SIGQUIT, fast exit")
		return nil
	case os.Interrupt:
		s.log.Info("got SIGINT, shutting down, waiting for all servers connections to be released")
		return b.obey(s, console.EndServers)
	}
	s.log.Info("got SIGTERM, shutting down, waiting for all clients disconnect")
	return b.obey(s, console.EndClients)
}

// obey ends when clients have left, or their transactions have ended, by themselves, or at once at a signal or an order more.
func (b *bouncer) obey(s *service, how console.End) error {
	s.boss.tell("STOPPING=1")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	left := make(chan error, 1)
	await := s.guard.AwaitClients
	if how == console.EndServers {
		await = func(ctx context.Context) error { return s.guard.Drain(ctx, 0) }
	}
	go func() { left <- await(ctx) }() // ends with ctx at the latest
	for {
		select {
		case err := <-left:
			s.log.Info("stopped")
			return err
		case again := <-s.signals:
			s.log.Info("got another signal while shutting down, fast exit", "signal", again.String())
		case again := <-s.ends:
			if again != console.EndNow {
				continue
			}
			s.log.Info("SHUTDOWN while shutting down, fast exit")
		}
		cancel()
		<-left
		return nil
	}
}

// asPgBouncer is the command line for a program that is called pgbouncer: that of PgBouncer.
func asPgBouncer(args []string) ([]string, error) {
	out := []string{"serve"}
	file := ""
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-V" || a == "--version":
			return []string{"version", "--pgbouncer"}, nil
		case a == "-h" || a == "--help":
			return []string{"serve", "--help"}, nil
		case (a == "-u" || a == "--user") && i+1 < len(args):
			i++
			out = append(out, "--user="+args[i])
		case strings.HasPrefix(a, "-") && a != "-":
			out = append(out, a)
		case file != "":
			return nil, fmt.Errorf("two configuration files are named, %s and %s", file, a)
		default:
			file = a
		}
	}
	if file == "" {
		return nil, errors.New("no configuration file is named")
	}
	return append(out, "--pgbouncer="+file), nil
}

// arguments are those of the command line, in pgguard's words.
func arguments(args []string) ([]string, error) {
	if filepath.Base(args[0]) != "pgbouncer" {
		return args[1:], nil
	}
	return asPgBouncer(slices.Clone(args[1:]))
}
