package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"pgguard/proxy"
	"pgguard/proxy/config"
	"pgguard/proxy/config/pgbouncer"
	"pgguard/proxy/console"
	"pgguard/proxy/instance"
)

// checkCmd validates a configuration file as serve would read it; without one, what flags and variables say.
type checkCmd struct {
	File        string `arg:"" optional:"" env:"PGGUARD_CONFIG" help:"The configuration file; without one, flags and variables are checked."`
	Connect     bool   `help:"Also read the certificates, and log in to each upstream once."`
	Diff        string `placeholder:"ADDR" help:"Print what a reload of FILE would change at the pgguard whose pages are at this address."`
	remoteTrust `embed:""`
	settings    `embed:""`
}

// Run prints the configuration in effect, passwords masked, or returns the faults.
func (c *checkCmd) Run(e *env) error {
	f, err := c.read()
	if err != nil {
		return err
	}
	if c.Diff != "" {
		return c.difference(e, f)
	}
	if err := proxy.CheckUsers(f.ToProxy().Auth); err != nil {
		return usageError{err}
	}
	for _, text := range f.Doubts() {
		_, _ = fmt.Fprintln(e.err, text)
	}
	if _, err = e.out.Write(f.Effective()); err != nil || !c.Connect {
		return err
	}
	return tryOut(e, f)
}

// read reads the file: pgguard's, or PgBouncer's if its name ends in .ini, as serve does in PgBouncer's place. Unless it is compared with what one there has, which takes
// them, what PgBouncer would tell of at a login is a fault.
func (c *checkCmd) read() (*config.File, error) {
	if !strings.HasSuffix(c.File, ".ini") {
		return c.load(c.File)
	}
	if c.Diff == "" {
		if _, err := pgbouncer.Convert(c.File); err != nil {
			return nil, usageError{err}
		}
	}
	r, _, err := (&bouncerFlags{File: c.File}).readAgain(&serveCmd{settings: c.settings}, nil)
	if err != nil {
		return nil, usageError{err}
	}
	return r.file, nil
}

// difference prints what a reload of f would change at a guard that runs.
func (c *checkCmd) difference(e *env, f *config.File) error {
	var there configPage
	at := remote{HTTP: c.Diff, remoteTrust: c.remoteTrust}
	if err := at.get(e.ctx, "/api/v1/config", &there); err != nil {
		return err
	}
	var running []config.Setting
	masked := false
	for _, s := range there.Settings {
		masked = masked || strings.Contains(s.Value, "***")
		if s.Source == "" {
			running = append(running, config.Setting{Key: s.Key, Value: s.Value})
		}
	}
	var mine []config.Setting
	for _, s := range f.Settings() {
		if len(there.Hidden) > 0 && config.WhoOf(s.Key) != "" {
			continue
		}
		if !slices.ContainsFunc(there.Settings, func(k shownKey) bool { return k.Key == s.Key && k.Source != "" }) {
			mine = append(mine, s)
		}
	}
	for _, line := range lines(config.Differences(running, mine)) {
		if _, err := fmt.Fprintln(e.out, line); err != nil {
			return err
		}
	}
	if len(there.Hidden) > 0 {
		_, _ = fmt.Fprintln(e.err, "users and rules are not compared: pgguard tells them only where admin.token_file is set")
	}
	if masked {
		_, _ = fmt.Fprintln(e.err, "secrets are not compared: pgguard does not tell them")
	}
	return nil
}

// versionCmd prints the version.
type versionCmd struct {
	PgBouncer bool `name:"pgbouncer" hidden:"" help:"As PgBouncer's own, which programs read, and as SHOW VERSION says it."`
}

// Run prints one line: the version of the program, of Go, and the platform.
func (v *versionCmd) Run(e *env) error {
	line := versionLine()
	if v.PgBouncer {
		line = console.VersionLine(versionName()) + "\n"
	}
	_, err := io.WriteString(e.out, line)
	return err
}

// ddlTriggerCmd prints the SQL of the event trigger.
type ddlTriggerCmd struct{}

// Run implements the command.
func (*ddlTriggerCmd) Run(e *env) error {
	_, err := io.WriteString(e.out, instance.DDLTrigger)
	return err
}

// authQueryCmd prints the SQL of the function that auth.query: auto calls.
type authQueryCmd struct {
	Role string `default:"pgguard" placeholder:"ROLE" help:"The upstream's user, who may call it."`
}

// Run implements the command.
func (c *authQueryCmd) Run(e *env) error {
	_, err := io.WriteString(e.out, instance.LookupFunction(c.Role))
	return err
}

// versionFlag prints the same, and ends the program.
type versionFlag bool

// BeforeReset is called by kong where the flag is given, before it looks for a command.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	_, err := io.WriteString(app.Stdout, versionLine())
	app.Exit(exitOK)
	return err
}

func versionLine() string {
	return fmt.Sprintf("pgguard %s %s %s/%s\n", versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version is set by the linker: -X main.version=v1.2.3.
var version string

// versionName returns the version from the linker, else what the Go command knows of the module or the commit.
func versionName() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "devel"
}
