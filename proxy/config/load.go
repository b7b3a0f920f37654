package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"pgguard/proxy/paper"
)

// maxSize bounds a configuration file. A thousand databases need a tenth of it; a file given by mistake is noticed.
const maxSize = 1 << 20

// Override is a setting from the command line or the environment; it replaces what the file says.
type Override struct {
	Path   string   // a top-level or nested key: mode, log.level
	Values []string // one value, or the elements of a list
	Source string   // how faults name it: "--mode or PGGUARD_MODE"
}

// Load reads the configuration file at path; an empty path is an empty file. The error is Faults if the content is wrong.
func Load(path string, over ...Override) (*File, error) {
	if path == "" {
		return Parse("", nil, over...)
	}
	data, err := paper.Read(path, maxSize)
	if large := (paper.TooLarge{}); errors.As(err, &large) {
		return nil, Faults{tooLarge(path)}
	}
	if err != nil {
		return nil, err
	}
	return Parse(path, data, over...)
}

func tooLarge(name string) Fault {
	return Fault{File: name, Message: fmt.Sprintf("is larger than %d bytes", maxSize)}
}

// Parse reads a configuration; name stands in its faults. The error is Faults, and holds all of them.
func Parse(name string, data []byte, over ...Override) (*File, error) {
	return parseInto(Default(), name, data, over)
}

// ParseLikePgBouncer is Parse for a guard in PgBouncer's place, which takes what PgBouncer tells of at a login only.
func ParseLikePgBouncer(name string, data []byte, over ...Override) (*File, error) {
	f := Default()
	f.LikePgBouncer = true
	return parseInto(f, name, data, over)
}

// parseInto is Parse into f, which has the defaults.
func parseInto(f *File, name string, data []byte, over []Override) (*File, error) {
	if len(data) > maxSize {
		return nil, Faults{tooLarge(name)}
	}
	d := &decoder{name: name, where: map[string]place{}}
	d.file(f, data)
	for _, o := range over {
		d.override(f, o)
	}
	if d.givesSecret(f) {
		f.SecretsIn = name
	}
	_, given := d.where["auth.method"]
	f.chooseMethod(given)
	f.inherit()
	for _, fault := range f.check(d.overridden("listen")) {
		if !d.faultAt(fault.Path) && (fault.because == "" || !d.faultAt(fault.because)) {
			d.faults = append(d.faults, d.placed(fault))
		}
	}
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return f, nil
}

// file decodes data into f.
func (d *decoder) file(f *File, data []byte) {
	tree, err := parse(data)
	if err != nil {
		d.broken = true
		d.faults = append(d.faults, d.syntax(err))
		return
	}
	given := 0
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if given++; given > 1 {
			d.bad(doc.Body, "", "there is a second document; one file is one configuration")
			return
		}
		d.value(doc.Body, reflect.ValueOf(f).Elem(), "")
	}
}

// parse returns the syntax tree of data. It turns a panic of the parser into an error: whatever a file holds, the answer
// is a fault. A key that is there twice is left to the decoder, which goes on after it.
func parse(data []byte) (tree *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			tree, err = nil, fmt.Errorf("is not YAML: %v", r)
		}
	}()
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // as editors of other systems begin a file in UTF-8
	if err := readable(data); err != nil {
		return nil, err
	}
	if err := plausible(data); err != nil {
		return nil, err
	}
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// syntax returns err, which ended the parser, as a fault.
func (d *decoder) syntax(err error) Fault {
	fault := Fault{Line: 1, Column: 1, Message: err.Error()}
	var known Fault
	var parsing yaml.Error
	if errors.As(err, &known) {
		fault = known
	} else if errors.As(err, &parsing) {
		fault.Message = parsing.GetMessage()
		if t := parsing.GetToken(); t != nil && t.Position != nil {
			fault.Line, fault.Column = max(t.Position.Line, 1), max(t.Position.Column, 1)
		}
	}
	fault.File = d.name
	return fault
}

const (
	maxLine  = 8 << 10 // bytes. A URL or an expression needs a few hundred; the parser's time grows with the square
	maxDepth = 100     // open brackets. The deepest key is 4 levels down; the parser's stack grows with them
)

// readable refuses what is not UTF-8.
func readable(data []byte) error {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return Fault{Line: 1, Column: 1, Message: "is UTF-16; save it as UTF-8"}
	}
	line, column := 1, 1
	for rest := data; len(rest) > 0; column++ {
		c, size := utf8.DecodeRune(rest)
		if c == utf8.RuneError && size == 1 {
			return Fault{Line: line, Column: column, Message: fmt.Sprintf("has a byte that is no UTF-8 (0x%02x); save the file as UTF-8", rest[0])}
		}
		if c == '\n' {
			line, column = line+1, 0
		}
		rest = rest[size:]
	}
	return nil
}

// plausible refuses what no configuration looks like and what would cost the parser minutes or its stack.
func plausible(data []byte) error {
	depth, line, column := 0, 1, 0
	for _, c := range data {
		column++
		switch c {
		case '\n':
			line, column = line+1, 0
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		}
		if column > maxLine {
			return Fault{Line: line, Column: column, Message: fmt.Sprintf("a line is longer than %d bytes", maxLine)}
		}
		if depth > maxDepth {
			return Fault{Line: line, Column: column, Message: fmt.Sprintf("more than %d brackets are open", maxDepth)}
		}
	}
	return nil
}

// givesSecret is true if the text itself, not a flag or a variable, has a password, or what PostgreSQL keeps of one.
func (d *decoder) givesSecret(f *File) bool {
	gives := func(path string) bool {
		p, ok := d.where[path]
		return ok && p.source == ""
	}
	bare := os.Getenv("PGPASSWORD") == "" // else it may come from there
	if bare && f.Upstream.Password != "" && gives("upstream") {
		return true
	}
	for name, db := range f.Databases {
		if bare && db.Upstream.Password != "" && gives(join("databases", name)+".upstream") {
			return true
		}
	}
	for _, u := range f.Auth.Users {
		if u.Secret.given || u.Password.given {
			return true
		}
	}
	return false
}
