package config

import (
	"strings"
	"testing"
)

// TestWhoOfEveryKeyAboutUsers: every key of the schema that has users in its name is about them, and a name that people choose is not told.
func TestWhoOfEveryKeyAboutUsers(t *testing.T) {
	for schema := range whens {
		key := strings.ReplaceAll(strings.ReplaceAll(schema, "*", "somebody"), "[]", "[3]")
		who := WhoOf(key)
		about := strings.Contains(schema, "user") && schema != "auth.users_file" && !strings.HasSuffix(schema, "_per_user") || strings.HasPrefix(schema, "auth.rules")
		if (who != "") != about {
			t.Errorf("%s is about users: %t, want %t", key, who != "", about)
		}
		if strings.Contains(who, "somebody") && !strings.HasPrefix(who, "databases.") {
			t.Errorf("%s tells a name: %s", key, who)
		}
	}
}
