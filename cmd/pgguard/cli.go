package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"pgguard/proxy/config"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // wrong flags or a wrong configuration
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// env is what every command is given.
type env struct {
	streams
	ctx context.Context
	app *kong.Application // the definition of the command line
	log *spool            // nil: what is written to err is written at once
}

// serves has everything that is written to err go by a spool from now on: a guard that serves does not wait for who reads that. It returns where
// hangups are told: one that comes while the guard starts does not end it.
func (e *env) serves() <-chan os.Signal {
	outliveReader()
	e.log = newSpool(e.err)
	e.err = e.log
	return hangups()
}

// hangups returns where each SIGHUP is told from now on; of many at once, one.
func hangups() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// cli is the command line.
type cli struct {
	Serve      serveCmd      `cmd:"" help:"Accept clients and pool their connections to PostgreSQL."`
	Check      checkCmd      `cmd:"" help:"Report every fault of a configuration file, flags and variables, else print the configuration in effect."`
	Convert    convertCmd    `cmd:"" help:"Print the configuration of PgBouncer as pgguard's, with a comment for each line that means something else here, or nothing."`
	Ready      readyCmd      `cmd:"" help:"Ask a running guard whether it serves clients: exit code 0 if it does."`
	Demo       demoCmd       `cmd:"" help:"Show what the guard does: an overload of a private PostgreSQL, direct and guarded. About two minutes."`
	Top        topCmd        `cmd:"" help:"Show what the dashboard shows, in a terminal."`
	Incidents  incidentsCmd  `cmd:"" help:"Write what was wrong lately, and what was done about it, as a timeline in Markdown."`
	Cert       certCmd       `cmd:"" help:"Make an authority and a certificate for tests and demos."`
	DDLTrigger ddlTriggerCmd `cmd:"" name:"ddl-trigger" help:"Print the SQL of an event trigger with which a database tells pgguard at once of DDL that is made past it."`
	AuthQuery  authQueryCmd  `cmd:"" name:"auth-query" help:"Print the SQL of a function with which pgguard looks up users without a superuser (auth.query: auto)."`
	Version    versionCmd    `cmd:"" help:"Print the version."`

	Man        manCmd        `cmd:"" hidden:"" help:"Print the manual page."`
	Completion completionCmd `cmd:"" help:"Print what a shell (bash, zsh, fish) needs to complete the command line."`

	VersionFlag versionFlag `name:"version" help:"Print the version."`
}

// settings are the flags that win over the configuration file.
type settings struct {
	Upstream  string   `env:"PGGUARD_UPSTREAM" placeholder:"URL" help:"The PostgreSQL server, a libpq URL or DSN. Others can read a password in a command line; prefer the variable."`
	Listen    []string `env:"PGGUARD_LISTEN" placeholder:"ADDR" help:"Address for clients, host:port or unix:DIR; can be repeated. Without one, 127.0.0.1:6432."`
	HTTP      string   `name:"http" env:"PGGUARD_HTTP" placeholder:"ADDR" help:"Address of dashboard, metrics and health checks, or off. Without one, 127.0.0.1:9432."`
	Mode      string   `env:"PGGUARD_MODE" placeholder:"MODE" help:"enforce, or observe: only report what would be refused. Without one, enforce."`
	LogFormat string   `env:"PGGUARD_LOG_FORMAT" placeholder:"FORMAT" help:"text or json."`
	LogLevel  string   `env:"PGGUARD_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error."`
}

// overrides returns the flags that were given, an empty variable being one that was not.
func (s *settings) overrides() []config.Override {
	var list []config.Override
	add := func(path, flag, variable string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			list = append(list, config.Override{Path: path, Values: values, Source: flag + " or " + variable})
		}
	}
	add("upstream", "--upstream", "PGGUARD_UPSTREAM", s.Upstream)
	add("listen", "--listen", "PGGUARD_LISTEN", s.Listen...)
	add("http", "--http", "PGGUARD_HTTP", s.HTTP)
	add("mode", "--mode", "PGGUARD_MODE", s.Mode)
	add("log.format", "--log-format", "PGGUARD_LOG_FORMAT", s.LogFormat)
	add("log.level", "--log-level", "PGGUARD_LOG_LEVEL", s.LogLevel)
	return list
}

// usageError is an error whose exit code is exitUsage.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// load reads the configuration; what is wrong with it is a usageError.
func (s *settings) load(path string) (*config.File, error) {
	f, err := config.Load(path, s.overrides()...)
	if err != nil {
		return nil, usageError{err}
	}
	return f, nil
}

// exited is what kong's --help throws to end run.
type exited int

// newParser returns what reads the command line.
func newParser(s streams) *kong.Kong {
	return kong.Must(&cli{},
		kong.Name("pgguard"),
		kong.Description("A pooling proxy for PostgreSQL that keeps the database at the load where it does the most work."),
		kong.Writers(s.out, s.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { panic(exited(code)) }),
	)
}

// wrongLine is what is wrong with a command line. A URL is not repeated: it may have a password.
func wrongLine(args []string, err error) string {
	text := err.Error()
	if len(args) == 0 || args[0] != "serve" || !strings.HasPrefix(text, "unexpected argument ") {
		return text
	}
	if strings.Contains(text, "://") {
		return "serve takes no argument: give the database by --upstream or PGGUARD_UPSTREAM"
	}
	return text + "; give a configuration file by -c"
}

// run runs the command line and returns the exit code. It writes errors to s.err, one line each.
func run(ctx context.Context, args []string, s streams) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	parser := newParser(s)
	command, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(s.err, "pgguard: %s\nSee pgguard --help.\n", wrongLine(args, err))
		return exitUsage
	}
	e := &env{streams: s, ctx: ctx, app: parser.Model}
	err = command.Run(e)
	code = report(err, e.err)
	if e.log != nil {
		e.log.close()
	}
	return code
}

// report writes err and returns the exit code for it. The faults of a configuration stand at the start of their lines, so
// that editors find the place.
func report(err error, w io.Writer) int {
	if err == nil {
		return exitOK
	}
	var faults config.Faults
	if errors.As(err, &faults) {
		_, _ = fmt.Fprintln(w, faults)
	} else {
		_, _ = fmt.Fprintf(w, "pgguard: %v\n", err)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
