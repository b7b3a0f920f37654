package pgtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// host is the only address a cluster listens on by default.
const host = "127.0.0.1"

// base is set for every cluster: reachable from this machine only, log on standard error, the same on every machine.
var base = map[string]string{
	"listen_addresses":  host,
	"logging_collector": "off",
	"log_destination":   "stderr",
	"log_timezone":      "UTC",
	"timezone":          "UTC",
}

// fast is added for tests: nothing waits for a disk, and what a crash leaves behind lies in the data directory.
var fast = map[string]string{
	"fsync":                      "off",
	"synchronous_commit":         "off",
	"full_page_writes":           "off",
	"dynamic_shared_memory_type": "mmap",
}

// adminHBA lets Exec and Start in whatever Options.HBA says; lastHBA is the default for everybody else.
const (
	adminHBA = "local all postgres trust"
	lastHBA  = "local all all trust\nhost all all 127.0.0.1/32 trust"
)

// writeConfig appends the options to postgresql.conf and writes pg_hba.conf.
func writeConfig(data string, o Options, a account) error {
	settings := maps.Clone(base)
	if !o.Durable {
		maps.Copy(settings, fast)
	}
	maps.Copy(settings, o.Settings)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = %s\n", name, quote(settings[name]))
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + conf.String())
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	lines := slices.Concat([]string{adminHBA}, o.HBA, []string{lastHBA})
	hba := filepath.Join(data, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return a.own(hba)
}

// quote writes a value as postgresql.conf wants it, where a backslash escapes inside quotes.
func quote(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(v) + "'"
}

// majorVersion reads the version of the data directory, such as 15.
func majorVersion(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0, err
	}
	text, _, _ := strings.Cut(strings.TrimSpace(string(b)), ".")
	v, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("read PG_VERSION: %w", err)
	}
	return v, nil
}
