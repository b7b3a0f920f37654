package config

import (
	"reflect"
	"strings"
)

// override sets the key at o.Path to o.Values.
func (d *decoder) override(f *File, o Override) {
	d.forget(o.Path)
	d.where[o.Path] = place{source: o.Source}
	bad := func(err error) {
		d.faults = append(d.faults, Fault{Source: o.Source, Path: o.Path, Message: err.Error()})
	}
	v := fieldAt(reflect.ValueOf(f).Elem(), o.Path)
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(o.Values), len(o.Values)))
		for i, text := range o.Values {
			if v.Index(i).Kind() == reflect.String {
				v.Index(i).SetString(text)
				continue
			}
			if err := v.Index(i).Addr().Interface().(leaf).set(text); err != nil {
				bad(err)
			}
		}
		return
	}
	text := o.Values[len(o.Values)-1]
	if l, ok := v.Addr().Interface().(leaf); ok {
		if err := l.set(text); err != nil {
			bad(err)
		}
	} else if err := setBasic(v, text); err != nil {
		bad(err)
	}
}

// Covers is true for the keys that o replaces.
func (o Override) Covers(key string) bool { return under(key, o.Path) }

// OverrideOf is one that sets a key to a value; of a list, the parts between commas. The key must be Settable.
func OverrideOf(key, value, source string) Override {
	values := []string{value}
	if v := fieldAt(reflect.ValueOf(Default()).Elem(), key); v.Kind() == reflect.Slice {
		values = nil
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				values = append(values, part)
			}
		}
	}
	return Override{Path: key, Values: values, Source: source}
}

// fieldAt returns the field of v at a path of keys with points between them. A path that does not exist is a bug.
func fieldAt(v reflect.Value, path string) reflect.Value {
	for key := range strings.SplitSeq(path, ".") {
		i := 0
		for v.Type().Field(i).Tag.Get("yaml") != key {
			i++
		}
		v = v.Field(i)
	}
	return v
}

// forget drops what the file said at path and below: it has no effect, so its faults and places have none.
func (d *decoder) forget(path string) {
	kept := d.faults[:0]
	for _, f := range d.faults {
		if !under(f.Path, path) {
			kept = append(kept, f)
		}
	}
	d.faults = kept
	for p := range d.where {
		if under(p, path) {
			delete(d.where, p)
		}
	}
}

// overridden reports whether the key at path was set by an override.
func (d *decoder) overridden(path string) bool { return d.where[path].source != "" }

// under reports whether path is top or inside it.
func under(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// faultAt reports whether there is a fault at path, around it or inside it: one mistake is told once.
func (d *decoder) faultAt(path string) bool {
	if d.broken {
		return true
	}
	for _, f := range d.faults {
		if f.Path != "" && (under(f.Path, path) || under(path, f.Path)) {
			return true
		}
	}
	return false
}

// placed returns f with the place of its key, or of the nearest key around it.
func (d *decoder) placed(f Fault) Fault {
	for path := f.Path; path != ""; path = path[:max(strings.LastIndexAny(path, ".["), 0)] {
		if p, ok := d.where[path]; ok {
			f.Source, f.Line, f.Column = p.source, p.line, p.column
			if f.Source == "" {
				f.File = d.name
			}
			return f
		}
	}
	if d.name != "" {
		f.File, f.Line, f.Column = d.name, 1, 1
	}
	return f
}
