package bench

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestCommandsOfTheDocsAreUnderstood: each is one that there is, with flags and targets that there are.
func TestCommandsOfTheDocsAreUnderstood(t *testing.T) {
	page, err := os.ReadFile("../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	misread := func(command string) error {
		cli := commandLine{}
		parser, err := kong.New(&cli, kong.Name("pgguard-bench"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Fields(command)); err != nil {
			return err
		}
		for _, target := range append(cli.Run.Target, cli.Replay.Target...) {
			if _, err := ParseTarget(target); err != nil {
				return err
			}
		}
		return nil
	}
	commands := regexp.MustCompile(`(?m)^bin/pgguard-bench (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 4 {
		t.Errorf("only %d are found", len(commands))
	}
	for _, m := range commands {
		if err := misread(m[1]); err != nil {
			t.Errorf("pgguard-bench %s: %v", m[1], err)
		}
	}
	if misread("run steady --target absent") == nil || misread("run absent") == nil {
		t.Error("what is wrong is not noticed")
	}
}
