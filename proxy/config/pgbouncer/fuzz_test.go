package pgbouncer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"pgguard/proxy/config"
)

// kindOfFile is which of the texts of FuzzConvert a file of this name has.
func kindOfFile(name string) int {
	for i, part := range []string{".ini", "user", "rules", "ident"} {
		if strings.Contains(name, part) {
			return i
		}
	}
	return 1
}

// FuzzConvert: whatever the files hold, what comes out is a configuration that pgguard takes, or faults with their places.
func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var texts [4]string // the file itself, users, rules, names
		for _, file := range a.Files {
			texts[kindOfFile(file.Name)] += string(file.Data)
		}
		f.Add(texts[0], texts[1], texts[2], texts[3])
	}
	f.Fuzz(func(t *testing.T, ini, users, rules, idents string) {
		texts := [4]string{ini, users, rules, idents}
		c, err := convertFrom("pgbouncer.ini", func(name string) ([]byte, error) { return []byte(texts[kindOfFile(name)]), nil })
		if err == nil {
			if _, err := c.Load(); err != nil {
				t.Fatalf("%v\n%s", err, c.YAML)
			}
			return
		}
		var faults config.Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("an error without faults: %v", err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 {
				t.Fatalf("a fault without a place: %v", fault)
			}
		}
	})
}
