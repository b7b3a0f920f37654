package pgbouncer

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected outputs in testdata")

// from opens the files of an archive, and no others.
func from(a *txtar.Archive) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		for _, f := range a.Files {
			if f.Name == name && name != "want" {
				return f.Data, nil
			}
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
}

// TestFiles converts the pgbouncer.ini of each archive of testdata; its last file is the configuration that comes out, which is one that pgguard takes,
// or the faults.
func TestFiles(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSSLMODE"} {
		t.Setenv(name, "")
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			c, err := convertFrom("pgbouncer.ini", from(a))
			if err != nil {
				got = err.Error() + "\n"
				if strings.Contains(got, "hunter") {
					t.Errorf("a password is shown:\n%s", got)
				}
			} else {
				got = string(c.YAML)
				if said := fmt.Sprint(c.Remarks); strings.Contains(said, "hunter") {
					t.Errorf("a password is in a remark: %s", said)
				}
				if _, err := c.Load(); err != nil {
					t.Errorf("pgguard does not take it: %v", err)
				}
			}
			want := &a.Files[len(a.Files)-1]
			if want.Name != "want" {
				t.Fatalf("%s has no file want", path)
			}
			switch {
			case *rewrite:
				want.Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			case got != string(want.Data):
				t.Errorf("got:\n%s\nwant:\n%s", got, want.Data)
			}
		})
	}
}
