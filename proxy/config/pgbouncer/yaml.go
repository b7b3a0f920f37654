package pgbouncer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"pgguard/proxy/config"
)

// node is one key of the configuration that comes out, or an element of a list.
type node struct {
	key     string // "": an element of a list
	path    string // as faults name it
	text    string // its value as it is written; "": what is below it
	kids    []*node
	named   map[string]*node // of the kids
	remarks []string
}

// child is the key of this name below n, made if there is none.
func (n *node) child(key string) *node {
	if k := n.named[key]; k != nil {
		return k
	}
	if n.named == nil {
		n.named = map[string]*node{}
	}
	k := &node{key: key, path: join(n.path, key)}
	n.named[key] = k
	n.kids = append(n.kids, k)
	return k
}

// item is a new element of the list n.
func (n *node) item(text string) *node {
	k := &node{path: fmt.Sprintf("%s[%d]", n.path, len(n.kids)), text: text}
	n.kids = append(n.kids, k)
	return k
}

// empty is true for a node of which nothing is written.
func (n *node) empty() bool {
	for _, k := range n.kids {
		if !k.empty() {
			return false
		}
	}
	return n.text == "" && len(n.remarks) == 0
}

// remarkWidth is how long a line with a comment may be.
const remarkWidth = 140

// write appends n and what is below it.
func (n *node) write(b *strings.Builder, depth int) {
	if n.empty() {
		return
	}
	indent := strings.Repeat("  ", depth)
	for _, r := range n.remarks {
		comment(b, indent, r)
	}
	valued := n.text != ""
	for _, k := range n.kids {
		valued = valued || !k.bare()
	}
	switch {
	case !valued: // there are only remarks
	case n.key == "":
		b.WriteString(indent + "- " + n.text + "\n")
	case n.text != "":
		b.WriteString(indent + quote(n.key) + ": " + n.text + "\n")
	default:
		b.WriteString(indent + quote(n.key) + ":\n")
		depth++
	}
	for _, k := range n.kids {
		k.write(b, depth)
	}
}

// bare is true for a node of which only remarks are written.
func (n *node) bare() bool {
	for _, k := range n.kids {
		if !k.bare() {
			return false
		}
	}
	return n.text == ""
}

// comment appends a text as a comment, in lines of remarkWidth.
func comment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > remarkWidth && line != indent+"#" {
			b.WriteString(line + "\n")
			line = indent + "#  "
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)
	yamlWord  = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null|y|n)$`)
)

// quote returns a text as YAML.
func quote(s string) string {
	if plainText.MatchString(s) && !yamlWord.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

// flow returns texts as a list.
func flow(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = quote(t)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// join is the path of key below path, as package config writes it.
func join(path, key string) string {
	switch {
	case !plainName.MatchString(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// moved returns faults of the configuration that came out with the places of the lines they come from.
func moved(faults config.Faults, where map[string]place) config.Faults {
	out := make(config.Faults, 0, len(faults))
	for _, f := range faults {
		if f.Source != "" {
			out = append(out, f)
			continue
		}
		at, known := place{}, false
		for path := f.Path; path != "" && !known; path = path[:max(strings.LastIndexAny(path, ".["), 0)] {
			at, known = where[path]
		}
		if !known {
			at = where[""]
		}
		f.File, f.Line, f.Column = at.file, at.line, at.column
		out = append(out, f)
	}
	return out
}
