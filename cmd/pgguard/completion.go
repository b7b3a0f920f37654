package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints what a shell must know to complete the command line.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run implements the command.
func (c *completionCmd) Run(e *env) error {
	shells := map[string]func(*kong.Application) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	_, err := io.WriteString(e.out, shells[c.Shell](e.app))
	return err
}

// words are the names of the commands, and of each its flags as they are written.
func words(app *kong.Application) (names []string, flagsOf map[string]string) {
	flagsOf = map[string]string{}
	for _, c := range commands(app) {
		names = append(names, c.Name)
		written := []string{"--help"}
		for _, f := range flags(c) {
			written = append(written, "--"+f.Name)
		}
		flagsOf[c.Name] = strings.Join(written, " ")
	}
	return names, flagsOf
}

// bashCompletion completes commands, their flags, and files where neither is meant.
func bashCompletion(app *kong.Application) string {
	names, flagsOf := words(app)
	var b strings.Builder
	fmt.Fprintf(&b, "# bash completion for pgguard\n_pgguard() {\n\tlocal word=${COMP_WORDS[COMP_CWORD]}\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"+
		"\t\tCOMPREPLY=($(compgen -W %q -- \"$word\"))\n\t\treturn\n\tfi\n\tcase $word in\n\t-*) ;;\n\t*)\n\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n\t\treturn\n\t\t;;\n"+
		"\tesac\n\tcase ${COMP_WORDS[1]} in\n", strings.Join(names, " ")+" --help --version")
	for _, name := range names {
		fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -W %q -- \"$word\")) ;;\n", name, flagsOf[name])
	}
	return b.String() + "\tesac\n}\ncomplete -o filenames -F _pgguard pgguard\n"
}

// zshCompletion is that of bash, with which zsh can do. It is read when something is to be completed for the first time, as the function of its name; so it
// ends by completing that.
func zshCompletion(app *kong.Application) string {
	return "#compdef pgguard\nautoload -U +X bashcompinit && bashcompinit\n" + bashCompletion(app) +
		"[ \"${funcstack[1]}\" != _pgguard ] || _bash_complete -o filenames -F _pgguard\n"
}

// fishCompletion says of each flag what it is for.
func fishCompletion(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("# fish completion for pgguard\n")
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `\'`) + "'" }
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "complete -c pgguard -n __fish_use_subcommand -f -a %s -d %s\n", c.Name, quote(c.Help))
		for _, f := range flags(c) {
			value := ""
			if takesValue(f) {
				value = " -r"
			}
			fmt.Fprintf(&b, "complete -c pgguard -n '__fish_seen_subcommand_from %s' -l %s%s -d %s\n", c.Name, f.Name, value, quote(f.Help))
		}
	}
	return b.String()
}
