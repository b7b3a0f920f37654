package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// manCmd prints the manual page, for those who pack pgguard.
type manCmd struct{}

// Run implements the command.
func (*manCmd) Run(e *env) error {
	_, err := io.WriteString(e.out, manual(e.app))
	return err
}

const manualEnd = `.SH FILES
.TP
.I /etc/pgguard/pgguard.yaml
The configuration of the service. Every key is explained in the annotated reference, pgguard.yaml in the documentation of the package.
.TP
.I /etc/pgguard/env
Variables of the service, such as PGGUARD_UPSTREAM.
.SH SIGNALS
.TP
SIGTERM, SIGINT
Transactions are finished, then it ends. A second one ends it at once, but not within a second of the first.
.TP
SIGHUP
The configuration is read again, with certificates, tokens and files with passwords: all of it, or nothing if something is wrong with it. The log says what has changed, and what needs a restart.
.TP
SIGUSR2
The program is started again, with the same command line, and takes over the addresses and the clients.
.P
With \-\-pgbouncer SIGTERM waits until all clients have left, SIGINT for their transactions, SIGQUIT for nothing; SIGUSR1 pauses all databases, and SIGUSR2 resumes them.
.SH EXIT STATUS
0 all is well, 1 it failed, 2 wrong usage or a wrong configuration.
.SH SEE ALSO
.BR psql (1),
.BR systemd.socket (5)
`

// manual is the page, from the definition of the command line.
func manual(app *kong.Application) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`.TH PGGUARD 1 "" "pgguard %s" "User commands"`, roff(versionName()))
	p(".SH NAME\npgguard \\- a pooling proxy for PostgreSQL\n.SH SYNOPSIS")
	p(".B pgguard\n.I command\n[\\fIflags\\fR]\n.SH DESCRIPTION\n%s", roff(app.Help))
	p("The address that applications connect to is 127.0.0.1:6432 unless it is told another; dashboard, metrics and health checks are at 127.0.0.1:9432.\n.SH COMMANDS")
	for _, c := range commands(app) {
		p(".SS pgguard %s%s", roff(c.Name), roff(positional(c)))
		p("%s", roff(c.Help))
		for _, a := range c.Positional {
			p(".TP\n.I %s\n%s", roff(a.Name), roff(a.Help))
		}
		for _, f := range flags(c) {
			p(".TP\n%s\n%s", roffFlag(f), roff(f.Help))
			if len(f.Envs) > 0 {
				p("Variable: %s.", roff(strings.Join(f.Envs, ", ")))
			}
		}
	}
	return b.String() + manualEnd
}

// commands are those that are shown.
func commands(app *kong.Application) (list []*kong.Node) {
	for _, c := range app.Children {
		if !c.Hidden {
			list = append(list, c)
		}
	}
	return list
}

// flags are those of a command that are its own and shown.
func flags(c *kong.Node) (list []*kong.Flag) {
	for _, f := range c.Flags {
		if !f.Hidden && f.Name != "help" {
			list = append(list, f)
		}
	}
	return list
}

// positional are the arguments of a command, as its synopsis has them.
func positional(c *kong.Node) string {
	text := ""
	for _, a := range c.Positional {
		text += " " + a.Summary()
	}
	return text
}

// roffFlag is a flag with its value.
func roffFlag(f *kong.Flag) string {
	text := `\fB\-\-` + roff(f.Name) + `\fR`
	if f.Short != 0 {
		text = `\fB\-` + string(f.Short) + `\fR, ` + text
	}
	if takesValue(f) {
		text += `=\fI` + roff(f.FormatPlaceHolder()) + `\fR`
	}
	return text
}

// takesValue is false for a flag that is given alone.
func takesValue(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// roff is a text in which nothing is a command of the page's.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, "…", "...").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
