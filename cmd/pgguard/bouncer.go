package main

import (
	"context"
	"errors"
	"fmt"
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
	Reboot  bool   `short:"R" hidden:""`
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
	case b.Reboot:
		return nil, nil, usageError{errors.New("-R is not available: a new pgguard waits for the addresses of one that has been told to end (SIGTERM, SIGINT)")}
	}
	first, out, err := b.readAgain(c, nil)
	if err != nil {
		return nil, nil, usageError{err}
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
	return serve(e.ctx, again, log, &bouncer{process: out.Process, name: b.File, remarks: len(out.Remarks), file: file}, false)
}

// forever is how long PgBouncer waits for its clients.
const forever = 100 * 365 * 24 * time.Hour

// bouncer is what is done as PgBouncer does it.
type bouncer struct {
	process pgbouncer.Process
	name    string // of the configuration
	remarks int    // on it
	file    *logFile

	removePID func()
}

// begin becomes the user, opens the log file and writes the pidfile.
func (b *bouncer) begin(log *slog.Logger) error {
	if err := become(b.process.User); err != nil {
		return err
	}
	err := b.file.open()
	if err != nil {
		return err
	}
	if b.removePID, err = writePID(b.process.PIDFile); err != nil {
		return err
	}
	if b.remarks > 0 {
		log.Info("lines of PgBouncer's configuration mean something else here, or nothing; pgguard convert FILE says which", "file", b.name, "lines", b.remarks)
	}
	return nil
}

// close removes the pidfile.
func (b *bouncer) close() { b.removePID() }

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
