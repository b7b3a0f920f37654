package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder copies a syntax tree into a File and remembers where each key stood and what was wrong.
type decoder struct {
	name   string // of the file
	where  map[string]place
	faults Faults
	broken bool // the file is no YAML: nothing more can be said about it
}

// place is where a value came from: a position in the file, or a flag.
type place struct {
	line, column int
	source       string
}

// noKey marks a field that is no key.
const noKey = "-"

// fresh is a type whose elements of a list begin with defaults.
type fresh interface{ fresh() }

// reserved is a type with keys that are not available in this version.
type reserved interface{ reserves(key string) bool }

func (c *Class) fresh() {
	*c = Class{Weight: 1, MaxWait: defaultMaxWait, MaxQueue: defaultMaxQueue, MaxShare: 1, Match: []Match{}}
}

// bad records a fault at n.
func (d *decoder) bad(n ast.Node, path, format string, args ...any) {
	f := Fault{File: d.name, Line: 1, Column: 1, Path: path, Message: fmt.Sprintf(format, args...)}
	if p, ok := position(n); ok {
		f.Line, f.Column = p.line, p.column
	}
	d.faults = append(d.faults, f)
}

// position returns where n begins. A mapping's own token is its first colon, so its first key is asked.
func position(n ast.Node) (place, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return position(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(m.Key)
	}
	if n == nil {
		return place{}, false
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return place{}, false
	}
	return place{line: t.Position.Line, column: t.Position.Column}, true
}

// note remembers that the value at path came from n.
func (d *decoder) note(n ast.Node, path string) {
	if p, ok := position(n); ok {
		d.where[path] = p
	}
}

// value decodes n into v, which holds the default.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	d.note(n, path)
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.DirectiveNode:
		d.bad(n, path, "anchors, aliases, tags and directives are not used here; write the value out")
		return
	case *ast.NullNode:
		if k := v.Kind(); k != reflect.Struct && k != reflect.Map && k != reflect.Slice || isLeaf(v) {
			d.bad(n, path, "has no value; give one, or remove the key to have the default")
		}
		return
	}
	if l, ok := v.Addr().Interface().(leaf); ok {
		if text, ok := scalar(n); ok {
			if err := l.set(text); err != nil {
				d.bad(n, path, "%v", err)
			}
			return
		}
		if v.Kind() != reflect.Slice && (v.Kind() != reflect.Struct || v.NumField() == 1) {
			d.bad(n, path, "must be a single value, not %s", kindOf(n))
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		d.basic(n, v, path)
	}
}

// isLeaf reports whether v can only be written as one text.
func isLeaf(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(leaf)
	return ok && (v.Kind() != reflect.Struct || v.NumField() == 1)
}

// structure decodes a mapping whose keys are the fields of v.
func (d *decoder) structure(n ast.Node, v reflect.Value, path string) {
	fields := map[string]reflect.Value{}
	var known []string
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if key == noKey {
			continue
		}
		fields[key] = v.Field(i)
		known = append(known, key)
	}
	d.pairs(n, path, func(keyNode ast.Node, key string, value ast.Node) {
		at := join(path, key)
		if field, ok := fields[key]; ok {
			d.value(value, field, at)
			return
		}
		if r, ok := v.Addr().Interface().(reserved); ok && r.reserves(key) {
			d.bad(keyNode, at, "is not available in this version")
			return
		}
		d.bad(keyNode, at, "unknown key; the keys here are %s", strings.Join(known, ", "))
	})
}

// mapping decodes a mapping with free keys.
func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.pairs(n, path, func(_ ast.Node, key string, value ast.Node) {
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(value, element, join(path, key))
		v.SetMapIndex(reflect.ValueOf(key), element)
	})
}

// pairs calls f for each key of the mapping n, once for a key that is there twice.
func (d *decoder) pairs(n ast.Node, path string, f func(keyNode ast.Node, key string, value ast.Node)) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		d.bad(n, path, "must be a mapping (key: value), not %s", kindOf(n))
		return
	}
	seen := map[string]bool{}
	for _, p := range values {
		key, ok := scalar(p.Key)
		switch {
		case !ok:
			d.bad(p.Key, path, "has a key that is not a plain text")
		case seen[key]:
			d.bad(p.Key, join(path, key), "is there twice")
		default:
			seen[key] = true
			d.note(p.Key, join(path, key))
			f(p.Key, key, p.Value)
		}
	}
}

// list decodes a sequence; it replaces the default list.
func (d *decoder) list(n ast.Node, v reflect.Value, path string) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.bad(n, path, "must be a list ([a, b] or lines that start with -), not %s", kindOf(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values))
	for i, e := range s.Values {
		if f, ok := out.Index(i).Addr().Interface().(fresh); ok {
			f.fresh()
		}
		d.value(e, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

// basic decodes one text, number or truth value.
func (d *decoder) basic(n ast.Node, v reflect.Value, path string) {
	text, ok := scalar(n)
	if !ok {
		d.bad(n, path, "must be a single value, not %s", kindOf(n))
		return
	}
	if err := setBasic(v, text); err != nil {
		d.bad(n, path, "%v", err)
	}
}

// maxNumber is the largest whole number that a key may have: nothing of what they count comes near, and sums and MiB of it are numbers, too.
const maxNumber = math.MaxInt32

// setBasic sets v, a value of one of Go's own kinds, to what text says.
func setBasic(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(text == "true")
	case reflect.Int:
		i, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		if i > maxNumber {
			return fmt.Errorf("%d is more than %d", i, maxNumber)
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(x)
	default:
		panic("config: a field of kind " + v.Kind().String() + " cannot be decoded")
	}
	return nil
}

// scalar returns the text of n if n is a single value.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// kindOf names n for a fault.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case nil, *ast.NullNode:
		return "nothing"
	}
	return "a single value"
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join returns the path of key inside path.
func join(path, key string) string {
	switch {
	case !plainName.MatchString(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}
