package config

import "strings"

// whos are the keys that name users, or say by which rules they come in, by what they begin with in the schema.
var whos = []string{"auth.users.", "auth.rules[]", "users.", "admin.users", "admin.stats_users", "auth.query_user", "classes[].match[].user", "databases.*.user", "databases.*.auth.query_user"}

// WhoOf is what a key is to be called to somebody who may not know the names of users and the rules by which they come in; "": it is about neither. The key is one of Settings.
func WhoOf(key string) string {
	schema := schemaOf(key)
	for _, who := range whos {
		switch {
		case !strings.HasPrefix(schema, who):
		case strings.HasSuffix(who, "."), strings.HasSuffix(who, "[]"):
			return strings.TrimSuffix(strings.TrimSuffix(who, "."), "[]")
		default:
			return key
		}
	}
	return ""
}
