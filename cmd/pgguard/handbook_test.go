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
	aCommand = regexp.MustCompile(`(?m)^(?:sudo )?(?:bin/|/)?pgguard ([^#|>\n]*)`)
	inline   = regexp.MustCompile("`pgguard ([^`>|]*)[^`]*`")
	aTarget  = regexp.MustCompile("(?m)^(?:sudo )?make ([a-z-]+)")
	aNamed   = regexp.MustCompile("`make ([a-z-]+)`")
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
