package config

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"pgguard/pool/sorting"
)

// Setting is one key of a configuration and what it has, as one line of text. Secrets are masked.
type Setting struct{ Key, Value string }

// Settings are all keys in effect, sorted. Equal configurations have equal ones, but for secrets.
func (f *File) Settings() []Setting {
	var list []Setting
	flatten(reflect.ValueOf(f).Elem(), "", "", func(l fact) { list = append(list, Setting{l.key, l.text}) })
	sorting.By(list, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// fact is one key and what it has.
type fact struct {
	key    string // as it is written
	schema string // the same with * for names that people choose, and [] for places in lists
	text   string
	value  any
}

// flatten calls add for each leaf of v and for each list of texts.
func flatten(v reflect.Value, path, schema string, add func(fact)) {
	leaf := func(value any) { add(fact{path, schema, line(value), v.Interface()}) }
	if m, ok := v.Interface().(interface{ MarshalYAML() (any, error) }); ok {
		value, err := m.MarshalYAML()
		if err != nil {
			panic(fmt.Sprintf("config: %s cannot be printed: %v", path, err))
		}
		leaf(value)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("yaml"); key != noKey {
				flatten(v.Field(i), join(path, key), join(schema, key), add)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			flatten(v.MapIndex(key), join(path, key.String()), schema+".*", add)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			leaf(v.Interface())
			return
		}
		for i := range v.Len() {
			flatten(v.Index(i), fmt.Sprintf("%s[%d]", path, i), schema+"[]", add)
		}
	default:
		leaf(v.Interface())
	}
}

// line writes a value; the elements of a list with commas between them.
func line(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(value)
}
