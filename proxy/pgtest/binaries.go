package pgtest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// binEnv names the directory of the server programs for every cluster that does not name its own.
const binEnv = "PGGUARD_PG_BIN"

// places are where packages put the server programs, each a pattern with the version in it.
var places = []string{
	"/usr/lib/postgresql/*/bin",                               // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                        // PGDG packages for Red Hat
	"/opt/homebrew/opt/postgresql@*/bin",                      // Homebrew, Apple silicon
	"/usr/local/opt/postgresql@*/bin",                         // Homebrew, Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",         // Homebrew, Linux
	"/Applications/Postgres.app/Contents/Versions/[0-9]*/bin", // Postgres.app
	"/opt/homebrew/opt/postgresql/bin",                        // Homebrew, unversioned
	"/usr/local/opt/postgresql/bin",                           // Homebrew, unversioned
	"/usr/local/pgsql/bin",                                    // built from source
}

// FindBinaries returns the directory that holds initdb and postgres: dir if it is not empty, else $PGGUARD_PG_BIN,
// else the first of PATH and the places packages use, where the highest version wins. The error says what to install.
func FindBinaries(dir string) (string, error) {
	if dir != "" {
		return named(dir, "the directory asked for")
	}
	if dir = os.Getenv(binEnv); dir != "" {
		return named(dir, "$"+binEnv)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.Abs(path); err == nil && hasPrograms(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	for _, pattern := range places {
		dirs, _ := filepath.Glob(pattern) // the only error is a malformed pattern
		slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(versionIn(b), versionIn(a)) })
		for _, d := range dirs {
			if hasPrograms(d) {
				return d, nil
			}
		}
	}
	return "", fmt.Errorf("the PostgreSQL server programs initdb and postgres are not in PATH nor in any place packages "+
		"put them: run `make deps`, or `apt-get install postgresql`, or `brew install postgresql`, "+
		"or set %s to the directory that holds them", binEnv)
}

// named returns a directory that somebody chose, or an error that says who.
func named(dir, who string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if !hasPrograms(dir) {
		return "", fmt.Errorf("%s, %s, does not hold the PostgreSQL server programs initdb and postgres: "+
			"install them with `make deps`, or `apt-get install postgresql`, or `brew install postgresql`, "+
			"or name another directory in %s", who, dir, binEnv)
	}
	return dir, nil
}

// hasPrograms reports whether dir holds what a cluster needs.
func hasPrograms(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode().Perm()&0o111 == 0 {
			return false
		}
	}
	return true
}

// versionIn is the first number in path, such as 15 or 9.6; 0 if there is none.
func versionIn(path string) float64 {
	start := strings.IndexAny(path, "0123456789")
	if start < 0 {
		return 0
	}
	rest := path[start:]
	if end := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); end >= 0 {
		rest = rest[:end]
	}
	v, _ := strconv.ParseFloat(strings.TrimRight(rest, "."), 64) // what is no number sorts last
	return v
}
