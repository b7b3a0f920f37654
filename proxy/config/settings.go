package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Setting is one key of a configuration and what it has, as one line of text. Secrets are masked.
type Setting struct{ Key, Value string }

// Settings are all keys in effect, sorted. Equal configurations have equal ones, but for secrets.
func (f *File) Settings() []Setting {
	var list []Setting
	flatten(reflect.ValueOf(f).Elem(), "", func(key, value string) { list = append(list, Setting{key, value}) })
	slices.SortFunc(list, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// flatten calls add for each leaf of v and for each list of texts.
func flatten(v reflect.Value, path string, add func(key, value string)) {
	if m, ok := v.Interface().(interface{ MarshalYAML() (any, error) }); ok {
		value, err := m.MarshalYAML()
		if err != nil {
			panic(fmt.Sprintf("config: %s cannot be printed: %v", path, err))
		}
		add(path, line(value))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			flatten(v.Field(i), join(path, v.Type().Field(i).Tag.Get("yaml")), add)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			flatten(v.MapIndex(key), join(path, key.String()), add)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			add(path, line(v.Interface()))
			return
		}
		for i := range v.Len() {
			flatten(v.Index(i), fmt.Sprintf("%s[%d]", path, i), add)
		}
	default:
		add(path, line(v.Interface()))
	}
}

// line writes a value; the elements of a list with commas between them.
func line(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(value)
}
