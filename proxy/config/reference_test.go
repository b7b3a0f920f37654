package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const reference = "../../deploy/pgguard.yaml"

func TestReferenceEqualsTheDefaults(t *testing.T) {
	clearLibpqEnv(t)
	upstream := Override{"upstream", []string{"postgres://app@db/app"}, "test"}
	fromFile, err := Load(reference, upstream)
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := Load("", upstream)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(fromFile.Effective()), string(defaults.Effective()); got != want {
		t.Errorf("the file gives\n%s\nthe defaults are\n%s", got, want)
	}
}

func TestReferenceNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	d := &decoder{name: reference, where: map[string]place{}}
	d.file(Default(), data)
	for _, key := range keysOf(reflect.TypeFor[File](), "") {
		if _, ok := d.where[key]; !ok {
			t.Errorf("%s: the key %s is not set", reference, key)
		}
	}
	inLists := append(keysOf(reflect.TypeFor[AuthUser](), ""), keysOf(reflect.TypeFor[AuthRule](), "")...)
	for _, key := range append(keysOf(reflect.TypeFor[Database](), ""), inLists...) {
		if !regexp.MustCompile(`(?m)^ *#.*\b` + regexp.QuoteMeta(lastKey(key)) + `:`).Match(data) {
			t.Errorf("%s: the key %s of a database, user or rule is not explained", reference, key)
		}
	}
}

func TestReferenceExplainsEveryKey(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keysOf(reflect.TypeFor[File](), "") {
		if strings.Contains(key, ".match[0]") || key == "classes[0].name" || strings.HasPrefix(key, "listen[0]") {
			continue // explained together, above the list they are in
		}
		name := regexp.QuoteMeta(lastKey(key))
		above := regexp.MustCompile(`(?m)^ *#[^\n]*\n *(- )?` + name + `:`)
		inside := regexp.MustCompile(`(?m)^ *` + name + `:\n +#`)
		if !above.Match(data) && !inside.Match(data) {
			t.Errorf("%s: no comment explains %s", reference, key)
		}
	}
}

// lastKey returns what follows the last point of a path.
func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// keysOf returns the path of every field in t; of a list the first element's, of a map none.
func keysOf(t reflect.Type, path string) []string {
	if _, ok := reflect.New(t).Interface().(leaf); ok && (t.Kind() != reflect.Struct || t.NumField() == 1) {
		return []string{path}
	}
	switch t.Kind() {
	case reflect.Struct:
		if t.NumField() == 0 {
			return []string{path}
		}
		var keys []string
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Tag.Get("yaml") == noKey {
				continue
			}
			keys = append(keys, keysOf(f.Type, join(path, f.Tag.Get("yaml")))...)
		}
		return keys
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return []string{path}
		}
		if path == "auth.rules" {
			return []string{path} // there is none; what one may have is explained above
		}
		element := path + "[0]"
		if path == "classes[0].match" {
			element = "classes[1].match[0]" // the first class is everybody else's and has none
		}
		return keysOf(t.Elem(), element)
	}
	return []string{path}
}
