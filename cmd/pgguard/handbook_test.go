package main

import (
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgguard/proxy/config"
)

// mostWords is how much somebody reads before he tries it.
const mostWords = 1000

// handbook are the pages for people who use pgguard, by path from here.
func handbook(t *testing.T) map[string]string {
	t.Helper()
	paths := []string{"../../README.md", "../../deploy/heroku/README.md", "../../examples/rails/README.md"}
	more, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(more) < 10 {
		t.Fatal(more, err)
	}
	pages := map[string]string{}
	for _, p := range append(paths, more...) {
		body, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		pages[p] = string(body)
	}
	return pages
}

// block is an example between ``` lines.
type block struct{ kind, text string }

var (
	aBlock   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	anyLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	aCommand = regexp.MustCompile(`(?m)^(?:sudo )?(?:systemd-run .*? )?(?:bin/|/)?pgguard ([^#|>\n]*)`)
	inline   = regexp.MustCompile("`pgguard ([^`>|]*)[^`]*`")
	aTarget  = regexp.MustCompile("(?m)^(?:sudo )?make ([a-z-]+)")
	aNamed   = regexp.MustCompile("`make ([a-z-]+)`")
	aKey     = regexp.MustCompile("`([a-z_]+(?:\\[\\])?(?:\\.[a-zA-Z_]+(?:\\[\\])?)+)`")
	aMetric  = regexp.MustCompile(`\bpgguard_[a-z_]+[a-z]\b`)
	variable = regexp.MustCompile(`\bPGGUARD_[A-Z_]+[A-Z]\b`)
)

func blocks(text string) (all []block) {
	for _, m := range aBlock.FindAllStringSubmatch(text, -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

// slug is a heading as links name it.
func slug(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// deadLink says what is wrong with a link of a page; "" if nothing is.
func deadLink(page, text, link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		return ""
	}
	if u.Path != "" {
		target := filepath.Join(filepath.Dir(page), u.Path)
		body, err := os.ReadFile(target)
		if info, statErr := os.Stat(target); err != nil && (statErr != nil || !info.IsDir()) {
			return err.Error()
		}
		text = string(body)
	}
	if u.Fragment == "" {
		return ""
	}
	for _, m := range aHeading.FindAllStringSubmatch(text, -1) {
		if slug(m[1]) == u.Fragment {
			return ""
		}
	}
	return "there is no such heading"
}

func TestReadmeIsShort(t *testing.T) {
	if n := len(strings.Fields(handbook(t)["../../README.md"])); n > mostWords {
		t.Errorf("it has %d words, at most %d", n, mostWords)
	}
}

func TestLinksOfTheHandbookLeadSomewhere(t *testing.T) {
	n := 0
	for page, text := range handbook(t) {
		for _, m := range anyLink.FindAllStringSubmatch(text, -1) {
			n++
			if fault := deadLink(page, text, m[1]); fault != "" {
				t.Errorf("%s: %s: %s", page, m[1], fault)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d links are found", n)
	}
	const page = "../../README.md"
	for _, link := range []string{"absent.md", "docs/refusals.md#absent", "#absent"} {
		if deadLink(page, handbook(t)[page], link) == "" {
			t.Errorf("nothing is found wrong with %s", link)
		}
	}
	if fault := deadLink(page, "", "docs/refusals.md#what-to-do-in-each-driver"); fault != "" {
		t.Error(fault)
	}
}

// TestConfigurationsOfTheHandbookHold: each example is one that pgguard starts with, but for the files that it names.
func TestConfigurationsOfTheHandbookHold(t *testing.T) {
	n := 0
	for page, text := range handbook(t) {
		for _, b := range blocks(text) {
			if b.kind != "yaml" {
				continue
			}
			n++
			if !strings.Contains(b.text, "upstream:") {
				b.text += "\nupstream: postgres://app@db/app\n"
			}
			if _, err := config.Parse(page, []byte(b.text)); err != nil {
				t.Errorf("%v\n%s", err, b.text)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d are found", n)
	}
}

// misread says what the command line finds wrong with a command of a page.
func misread(command string) (err error) {
	defer func() {
		if _, help := recover().(exited); help {
			err = nil
		}
	}()
	_, err = newParser(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard}).Parse(strings.Fields(command))
	return err
}

// TestCommandsOfTheHandbookAreUnderstood: each is one that there is, with flags that there are.
func TestCommandsOfTheHandbookAreUnderstood(t *testing.T) {
	n := 0
	for page, text := range handbook(t) {
		commands := inline.FindAllStringSubmatch(text, -1)
		for _, b := range blocks(text) {
			if b.kind == "" {
				commands = append(commands, aCommand.FindAllStringSubmatch(b.text, -1)...)
			}
		}
		for _, m := range commands {
			n++
			if err := misread(m[1]); err != nil {
				t.Errorf("%s: pgguard %s: %v", page, m[1], err)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d are found", n)
	}
	if misread("serve --absent") == nil || misread("--help") != nil {
		t.Error("what is wrong is not noticed")
	}
}

func TestTargetsOfTheHandbookExist(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	n := 0
	for page, text := range handbook(t) {
		found := aNamed.FindAllStringSubmatch(text, -1)
		for _, b := range blocks(text) {
			found = append(found, aTarget.FindAllStringSubmatch(b.text, -1)...)
		}
		for _, m := range found {
			n++
			if !slices.Contains(targets, m[1]) {
				t.Errorf("%s: there is no make %s", page, m[1])
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d are found", n)
	}
}

// places are the keys of the configuration without the marks of lists, and the names of its parts.
func places(t *testing.T) (keys, parts map[string]bool) {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	keys, parts = map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^##+ `(.*)`$").FindAllStringSubmatch(string(page), -1) {
		key := strings.ReplaceAll(m[1], "[]", "")
		part, _, _ := strings.Cut(key, ".")
		keys[key], parts[part] = true, true
	}
	return keys, parts
}

// TestKeysOfTheHandbookExist: what a page calls by the path of a key is one; NAME in it stands for any name, and what is below that has a place of its own.
func TestKeysOfTheHandbookExist(t *testing.T) {
	keys, parts := places(t)
	notKeys := []string{"pool.query"} // node-postgres has it
	named := regexp.MustCompile(`\.NAME(\..*)?$`)
	n := 0
	for page, text := range handbook(t) {
		for _, m := range aKey.FindAllStringSubmatch(text, -1) {
			key := named.ReplaceAllString(strings.ReplaceAll(m[1], "[]", ""), "")
			part, _, _ := strings.Cut(key, ".")
			if !parts[part] || slices.Contains(notKeys, key) {
				continue
			}
			if n++; !keys[key] {
				t.Errorf("%s: %s is no key", page, m[1])
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d are found", n)
	}
}

// TestMetricsAndVariablesOfTheHandbookExist as /metrics, and the command line, have them.
func TestMetricsAndVariablesOfTheHandbookExist(t *testing.T) {
	golden, err := os.ReadFile("../../proxy/metrics/testdata/metrics.golden")
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(string(golden), -1) {
		metrics[m[1]] = true
	}
	metrics["pgguard_ddl"] = true                                              // a function of pgguard ddl-trigger
	variables := map[string]bool{"PGGUARD_WAIT": true, "PGGUARD_PG_BIN": true} // with-pgguard and the tests have them
	for _, c := range newParser(streams{out: io.Discard, err: io.Discard}).Model.Children {
		for _, f := range c.Flags {
			for _, name := range f.Envs {
				variables[name] = true
			}
		}
	}
	n := 0
	for page, text := range handbook(t) {
		for _, name := range append(aMetric.FindAllString(text, -1), variable.FindAllString(text, -1)...) {
			if n++; !metrics[name] && !variables[name] {
				t.Errorf("%s: there is no %s", page, name)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d are found", n)
	}
}
