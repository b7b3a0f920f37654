package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// schemaKeys are the keys below a type, with * and [] for what people choose.
func schemaKeys(t reflect.Type, path string) []string {
	if _, ok := reflect.New(t).Interface().(leaf); ok && (t.Kind() != reflect.Struct || t.Name() != "Listen") {
		return []string{path}
	}
	switch t.Kind() {
	case reflect.Struct:
		var keys []string
		for i := range t.NumField() {
			if t.Field(i).Tag.Get("yaml") == noKey {
				continue
			}
			keys = append(keys, schemaKeys(t.Field(i).Type, join(path, t.Field(i).Tag.Get("yaml")))...)
		}
		return keys
	case reflect.Map:
		return schemaKeys(t.Elem(), path+".*")
	case reflect.Slice:
		if t.Elem().Kind() != reflect.String {
			return schemaKeys(t.Elem(), path+"[]")
		}
	}
	return []string{path}
}

// TestEveryKeySaysWhenItChanges: one table has them all, and nothing else.
func TestEveryKeySaysWhenItChanges(t *testing.T) {
	keys := schemaKeys(reflect.TypeFor[File](), "")
	slices.Sort(keys)
	if table := slices.Sorted(maps.Keys(whens)); !slices.Equal(keys, table) {
		t.Errorf("the configuration has\n%s\nthe table has\n%s", strings.Join(keys, "\n"), strings.Join(table, "\n"))
	}
	for _, key := range keys {
		if got := schemaOf(key); got != key {
			t.Errorf("the schema of %s is %s", key, got)
		}
	}
	for key, want := range map[string]string{
		`databases["my db"].pool.mode`: "databases.*.pool.mode", "databases.shop.settings.TimeZone": "databases.*.settings.*", "classes[1].match[0].user": "classes[].match[].user",
		`databases["a.b"].settings["my.x"]`: "databases.*.settings.*",
	} {
		if got := schemaOf(key); got != want {
			t.Errorf("the schema of %s is %s, want %s", key, got, want)
		}
	}
}

func parsed(t *testing.T, text string) *File {
	t.Helper()
	clearLibpqEnv(t)
	f, err := Parse("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestChangesNameEachKeyOnceAndNoSecret(t *testing.T) {
	before := parsed(t, `
upstream: postgres://app:hunter2@db/app
auth: {users: {app: {password: hunter2}}}
databases: {shop: {pool: {mode: session}}, old: {}}
pool: {limit: 10}
`)
	after := parsed(t, `
upstream: postgres://app:hunter3@db/app
auth: {users: {app: {password: hunter3}}}
databases: {shop: {settings: {TimeZone: UTC}}, new: {}}
listen: ["127.0.0.1:7000"]
`)
	var got []string
	for _, c := range before.Changes(after) {
		got = append(got, c.String())
	}
	want := []string{
		"auth.users.app.password: one value -> another (for clients to come)",
		"databases.new.max_clients: nothing -> auto (at once)",
		"databases.new.pool.lifetime: nothing -> 0s (at once)",
		"databases.new.pool.max_servers: nothing -> auto (at once)",
		"databases.new.pool.max_servers_per_login: nothing -> auto (at once)",
		"databases.new.pool.min_servers_per_login: nothing -> auto (at once)",
		"databases.new.pool.mode: nothing -> transaction (for clients to come)",
		"databases.new.pool.reserve_servers_per_login: nothing -> auto (at once)",
		"databases.new.upstream: nothing -> postgres://app:***@db:5432/app (at once)",
		"databases.old.max_clients: auto -> nothing (at once)",
		"databases.old.pool.lifetime: 0s -> nothing (at once)",
		"databases.old.pool.max_servers: auto -> nothing (at once)",
		"databases.old.pool.max_servers_per_login: auto -> nothing (at once)",
		"databases.old.pool.min_servers_per_login: auto -> nothing (at once)",
		"databases.old.pool.mode: transaction -> nothing (for clients to come)",
		"databases.old.pool.reserve_servers_per_login: auto -> nothing (at once)",
		"databases.old.upstream: postgres://app:***@db:5432/app -> nothing (at once)",
		"databases.shop.pool.mode: session -> transaction (for clients to come)",
		"databases.shop.settings.TimeZone: nothing -> UTC (for clients to come)",
		"databases.shop.upstream: one value -> another (at once)",
		"listen[0].addr: 127.0.0.1:6432 -> 127.0.0.1:7000 (needs a restart)",
		"pool.limit: 10 -> auto (at once)",
		"upstream: one value -> another (at once)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if again := after.Changes(after); again != nil {
		t.Errorf("equal ones differ in %v", again)
	}
}

// TestWhatNeedsARestartIsKept, and what does not go together with it is a fault.
func TestWhatNeedsARestartIsKept(t *testing.T) {
	old := parsed(t, "upstream: postgres://app@db/app\n")
	next := parsed(t, `
upstream: postgres://app@db/other
listen: ["127.0.0.1:7000"]
http: "off"
classes: [{name: only, weight: 3}]
pool: {limit: 7, prepared_memory: 8}
`)
	if err := next.Keep(old); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, c := range old.Changes(next) {
		left = append(left, c.Key)
	}
	if want := []string{"pool.limit", "upstream"}; !slices.Equal(left, want) {
		t.Errorf("what is left of the changes is %v, want %v", left, want)
	}
	bad := parsed(t, `
upstream: postgres://app@db/app
tls: {mode: "off"}
`)
	kept := parsed(t, "upstream: postgres://app@db/app\nlisten: [{addr: \"127.0.0.1:6432\", tls: require}]\ntls: {cert: c, key: k}\n")
	if err := bad.Keep(kept); err == nil || !strings.Contains(err.Error(), "tls.cert: is missing") {
		t.Errorf("a listener that takes TLS stays without a certificate: %v", err)
	}
}

func TestSettableKeys(t *testing.T) {
	for key, want := range map[string]bool{"pool.limit": true, "admin.users": true, "log.level": true, "pool": false, "listen": false, "classes[0].weight": false, "": false, "nothing": false, "databases.x.user": false, "databases.*.user": false, "auth.rules[].user": false, "upstream_password.command": false} {
		if got := Settable(key); got != want {
			t.Errorf("%q: %t", key, got)
		}
	}
}
