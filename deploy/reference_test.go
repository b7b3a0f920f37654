package deploy

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"pgguard/proxy/config"
)

var rewrite = flag.Bool("rewrite", false, "rewrite docs/configuration.md")

// key is one of the annotated file, with what stands above it.
type key struct {
	path, value string
	about       []string
}

var keyLine = regexp.MustCompile(`^(\s*)(- )?([a-z_]+):\s*(.*)$`)

// keys reads the annotated file: what it says at its start, and each key once.
func keys(text string) (start []string, all []key) {
	type level struct {
		indent int
		name   string
	}
	var path []level
	var about []string
	seen := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(trimmed, "#"); ok {
			about = append(about, strings.TrimPrefix(comment, " "))
			continue
		}
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			if len(all) == 0 && start == nil {
				start = about
			}
			about = nil
			continue
		}
		indent, name := len(m[1])+len(m[2]), m[3]
		for len(path) > 0 && path[len(path)-1].indent >= indent {
			path = path[:len(path)-1]
		}
		if m[2] != "" {
			parent := &path[len(path)-1]
			parent.name = strings.TrimSuffix(parent.name, "[]") + "[]"
		}
		path = append(path, level{indent, name})
		var names []string
		for _, l := range path {
			names = append(names, l.name)
		}
		k := key{strings.Join(names, "."), m[4], about}
		about = nil
		if !seen[k.path] {
			seen[k.path] = true
			all = append(all, k)
		}
	}
	return start, all
}

// aPage is a page of the handbook, as the annotated file names it.
var aPage = regexp.MustCompile(`docs/([a-z-]+\.md)`)

// prose is a comment as Markdown: what is indented is an example, and pages are links.
func prose(lines []string) string {
	var b strings.Builder
	example := false
	for _, line := range lines {
		if is := strings.HasPrefix(line, "  "); is != example {
			example = is
			b.WriteString(map[bool]string{true: "\n```\n", false: "```\n\n"}[is])
		}
		if example {
			line = strings.TrimPrefix(line, "  ")
		} else {
			line = aPage.ReplaceAllString(line, "[$1]($1)")
		}
		b.WriteString(line + "\n")
	}
	if example {
		b.WriteString("```\n")
	}
	return b.String()
}

// reference is docs/configuration.md.
func reference(text string) string {
	start, all := keys(text)
	var b strings.Builder
	b.WriteString("# Configuration\n\nMade from [deploy/pgguard.yaml](../deploy/pgguard.yaml) by `make golden`; change it there.\n" + prose(start[1:]))
	for _, k := range all {
		mark := "##"
		if strings.Contains(k.path, ".") {
			mark = "###"
		}
		fmt.Fprintf(&b, "\n%s `%s`\n", mark, k.path)
		if k.value != "" {
			fmt.Fprintf(&b, "\nDefault: `%s`\n", k.value)
		}
		if when := config.WhenOf(k.path); when != "" {
			fmt.Fprintf(&b, "\nReload: %s.\n", when)
		}
		if len(k.about) > 0 {
			b.WriteString("\n" + prose(k.about))
		}
	}
	return b.String()
}

// TestReferenceIsTheAnnotatedFile: the page that people read says what the file says that the program is held to.
func TestReferenceIsTheAnnotatedFile(t *testing.T) {
	const page = "../docs/configuration.md"
	want := reference(string(read(t, "pgguard.yaml")))
	if *rewrite {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(read(t, page)); got != want {
		t.Errorf("%s is not what pgguard.yaml says: run make golden, and read the difference", page)
	}
	if n := strings.Count(want, "\n### `pool."); n < 10 || !strings.Contains(want, "\n### `classes[].max_share`\n\nDefault: `1`\n\nReload: at once.\n\nPart of the cap") {
		t.Errorf("it is not made as it should be; %d keys of pool:\n%s", n, want)
	}
}
