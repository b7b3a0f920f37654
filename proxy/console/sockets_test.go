package console

import (
	"slices"
	"strings"
	"testing"
)

// TestServersShowWhoHasThem by the name of the application, as PgBouncer's do; one that nobody has shows none.
func TestServersShowWhoHasThem(t *testing.T) {
	k, _ := call(t, "tcp", desk(t, world()), "ops", "pgbouncer")
	names := map[string]string{}
	for _, line := range k.ask(t, "show servers") {
		if row, is := strings.CutPrefix(line, "row "); is {
			values := strings.Split(row, "|")
			at := func(name string) string {
				return values[slices.IndexFunc(socketColumns, func(c column) bool { return c.name == name })]
			}
			names[at("state")] = at("application_name")
		}
	}
	if names["active"] != "puma" || names["idle"] != "" {
		t.Errorf("the names are %q", names)
	}
}
