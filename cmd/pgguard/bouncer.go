package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"pgguard/proxy"
	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/config/pgbouncer"
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
func (b *bouncerFlags) load(c *serveCmd) (*pgbouncer.Conversion, *config.File, error) {
	switch {
	case b.File == "":
		return nil, nil, usageError{errors.New("-d, -q, -v, -u and -R are for use with --pgbouncer")}
	case c.Config != "":
		return nil, nil, usageError{errors.New("--config (PGGUARD_CONFIG) and --pgbouncer are both given; one file is the configuration")}
	case b.Reboot:
		return nil, nil, usageError{errors.New("-R is not available: a new pgguard waits for the addresses of one that has been told to end (SIGTERM, SIGINT)")}
	}
	out, err := pgbouncer.Convert(b.File)
	if err != nil {
		return nil, nil, usageError{err}
	}
	over := c.overrides()
	if b.Verbose > 0 {
		over = append(over, config.Override{Path: "log.level", Values: []string{"debug"}, Source: "-v"})
	}
	f, err := out.Load(over...)
	if err != nil {
		return nil, nil, usageError{err}
	}
	if b.User != "" {
		out.Process.User = b.User
	}
	return out, f, nil
}

// run serves until a signal ends it.
func (b *bouncerFlags) run(e *env, c *serveCmd) error {
	out, f, err := b.load(c)
	if err != nil {
		return err
	}
	background := inBackground()
	if b.Daemon && !background {
		return daemonize(out.Process)
	}
	leaveProcessors()
	log := &logFile{path: out.Process.LogFile}
	if !b.Quiet && !background {
		log.also = e.err
	}
	cfg := f.ToProxy()
	cfg.Log, cfg.Grace = newLog(f.Log, log), forever
	if err := provideFiles(&cfg, cfg.Log); err != nil {
		return err
	}
	if err := become(out.Process.User); err != nil {
		return err
	}
	if err := log.open(); err != nil {
		return err
	}
	defer log.close()
	cfg.LearnedDir = f.LearnedDir()
	g, err := proxy.New(cfg)
	if err != nil {
		return err
	}
	pages, err := pageCertificates(f, cfg.Log)
	if err != nil {
		return err
	}
	return b.serve(e.ctx, out, f, g, pages, cfg.Log, log)
}

// serve holds the pidfile, and serves.
func (b *bouncerFlags) serve(ctx context.Context, out *pgbouncer.Conversion, f *config.File, g guard, pages *auth.Certificates, log *slog.Logger, file *logFile) error {
	remove, err := writePID(out.Process.PIDFile)
	if err != nil {
		return err
	}
	defer remove()
	for _, text := range f.Unused() {
		log.Warn(text)
	}
	if n := len(out.Remarks); n > 0 {
		log.Info("lines of PgBouncer's configuration mean something else here, or nothing; pgguard convert FILE says which", "file", b.File, "lines", n)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	reopen := func() error { file.reopen(log); return nil }
	defer obeyHangups(log, reopen, g.ReloadCertificates, pages.Reload)()
	defer ignoreUserSignals(log)()
	s := service{file: f, guard: g, pages: pages, signals: signals, log: log, bouncer: &bouncer{}}
	return s.run(ctx)
}

// forever is how long PgBouncer waits for its clients.
const forever = 100 * 365 * 24 * time.Hour

// bouncer is what is done as PgBouncer does it.
type bouncer struct{}

// serving tells whoever started this process in the background that clients can connect.
func (b *bouncer) serving() {
	if b != nil {
		tellStarter()
	}
}

// end obeys the signal that came first. SIGTERM lets nobody in any more, and waits until all clients have left; SIGINT waits for their
// transactions; SIGQUIT, and any second signal, waits for nothing.
func (b *bouncer) end(s *service, sig os.Signal) error {
	idle := forever
	switch sig {
	case syscall.SIGQUIT:
		s.log.Info("got SIGQUIT, fast exit")
		return nil
	case os.Interrupt:
		idle = 0
		s.log.Info("got SIGINT, shutting down, waiting for all servers connections to be released")
	default:
		s.log.Info("got SIGTERM, shutting down, waiting for all clients disconnect")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.guard.Drain(ctx, idle) }() // ends with ctx at the latest
	select {
	case err := <-drained:
		s.log.Info("stopped")
		return err
	case again := <-s.signals:
		s.log.Info("got another signal while shutting down, fast exit", "signal", again.String())
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
			return []string{"version"}, nil
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
