package main

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	// aDocument is a word that names a file of Markdown, with what stands before it, and the heading in quotes that may follow.
	aDocument = regexp.MustCompile(`([^\s()\[\]<>"'` + "`" + `]*\.md)\b(?:[` + "`" + `)]*,? "([^"]+)")?`)
	aLink     = regexp.MustCompile(`\]\(([^)\s#]+\.md)(?:#[^)]*)?\)`)
	aHeading  = regexp.MustCompile(`(?m)^#+ +(.*?) *$`)
)

// citation is one place where a document is named.
type citation struct {
	from    string // the file, from the top of the tree
	line    int    // of the comment; in Markdown the first with these words
	to      string // as it is written
	heading string // "": none is named
	link    bool
}

// tree reads the files of a tree that have documentation in them, and the names of all Markdown.
type tree struct {
	files fs.FS
	names map[string][]string // Markdown by its last name
	all   []string            // Markdown and Go
}

func readTree(files fs.FS) (*tree, error) {
	t := &tree{files: files, names: map[string][]string{}}
	err := fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "bin"):
			return fs.SkipDir
		case path.Ext(p) == ".md":
			t.names[d.Name()] = append(t.names[d.Name()], p)
			t.all = append(t.all, p)
		case path.Ext(p) == ".go":
			t.all = append(t.all, p)
		}
		return nil
	})
	return t, err
}

// citations are all in one file: in the comments of Go, in all of Markdown.
func (t *tree) citations(file string) ([]citation, error) {
	body, err := fs.ReadFile(t.files, file)
	if err != nil {
		return nil, err
	}
	if path.Ext(file) == ".md" {
		found := cited(file, 0, string(body))
		for _, m := range aLink.FindAllStringSubmatch(string(body), -1) {
			if !strings.Contains(m[1], "://") {
				found = append(found, citation{from: file, to: m[1], link: true})
			}
		}
		for i, c := range found {
			before, _, _ := strings.Cut(string(body), c.to)
			found[i].line = 1 + strings.Count(before, "\n")
		}
		return found, nil
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, body, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var found []citation
	for _, group := range f.Comments {
		found = append(found, cited(file, fset.Position(group.Pos()).Line, group.Text())...)
	}
	return found, nil
}

// cited finds the words that end in .md; addresses elsewhere are none of ours.
func cited(file string, line int, text string) (found []citation) {
	text = strings.Join(strings.Fields(text), " ")
	for _, m := range aDocument.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") && m[1] != ".md" {
			found = append(found, citation{from: file, line: line, to: m[1], heading: m[2]})
		}
	}
	return found
}

// find returns the document that is meant, "" if there is none: beside the file, or from the top of the tree; in the prose of
// Markdown also a bare name that some file of the tree has. A link is followed as a browser does.
func (t *tree) find(c citation) string {
	ways := []string{path.Join(path.Dir(c.from), c.to)}
	if !c.link {
		ways = append(ways, path.Clean(c.to))
	}
	if bare := !c.link && path.Ext(c.from) == ".md" && !strings.Contains(c.to, "/"); bare {
		ways = append(ways, t.names[c.to]...)
	}
	for _, way := range ways {
		if slices.Contains(t.all, way) {
			return way
		}
	}
	return ""
}

// fault says what is wrong with a citation, "" if nothing is.
func (t *tree) fault(c citation) string {
	document := t.find(c)
	if document == "" {
		return "there is no " + c.to
	}
	if c.heading == "" {
		return ""
	}
	body, err := fs.ReadFile(t.files, document)
	if err != nil {
		return err.Error()
	}
	for _, m := range aHeading.FindAllStringSubmatch(string(body), -1) {
		if m[1] == c.heading {
			return ""
		}
	}
	return fmt.Sprintf("%s has no heading %q", document, c.heading)
}

// faults returns a line for each citation that leads nowhere, and how many there are in all.
func (t *tree) faults() (lines []string, n int, err error) {
	for _, file := range t.all {
		found, fileErr := t.citations(file)
		err = errors.Join(err, fileErr)
		n += len(found)
		for _, c := range found {
			if fault := t.fault(c); fault != "" {
				lines = append(lines, fmt.Sprintf("%s:%d: %s", c.from, c.line, fault))
			}
		}
	}
	return lines, n, err
}

func TestCitedDocumentsExist(t *testing.T) {
	docs, err := readTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	lines, n, err := docs.faults()
	if err != nil || n == 0 {
		t.Fatalf("%d citations are found: %v", n, err)
	}
	for _, line := range lines {
		t.Error(line)
	}
}

func TestCitationThatLeadsNowhereIsNoticed(t *testing.T) {
	files := fstest.MapFS{
		"README.md":     {Data: []byte("# Top\n\n[a](a/DESIGN.md) [b](DESIGN.md), https://example.org/far.md, `DESIGN.md` of a package\n")},
		"a/DESIGN.md":   {Data: []byte("# a\n\n## Why these numbers\n")},
		"a/a.go":        {Data: []byte("package a\n\n// See DESIGN.md, \"Why these\n// numbers\". Not lost.md; a/DESIGN.md (\"x\").\nvar s = \"text.md\"\n")},
		"b/b.go":        {Data: []byte("package b // DESIGN.md, a/DESIGN.md, \"Nowhere\"\n")},
		".hidden/x.md":  {Data: []byte("gone.md")},
		"node_modules/": {Mode: fs.ModeDir},
	}
	docs, err := readTree(files)
	if err != nil {
		t.Fatal(err)
	}
	lines, n, err := docs.faults()
	want := []string{
		"README.md:3: there is no DESIGN.md",
		"a/a.go:3: there is no lost.md",
		"b/b.go:1: a/DESIGN.md has no heading \"Nowhere\"",
		"b/b.go:1: there is no DESIGN.md",
	}
	slices.Sort(lines)
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("%d citations: %v\ngot  %q\nwant %q", n, err, lines, want)
	}
}
