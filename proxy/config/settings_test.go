package config

import (
	"slices"
	"strings"
	"testing"
)

// TestSettingsHaveEveryKeyAndNoSecret in one line each, sorted.
func TestSettingsHaveEveryKeyAndNoSecret(t *testing.T) {
	clearLibpqEnv(t)
	f, err := Parse("x", []byte(`
upstream: postgres://app:hunter2@db/app
databases: {"my db": {pool: {mode: session}}}
admin: {users: [ops, root]}
auth: {users: {app: {password: hunter2}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	list := f.Settings()
	got, all := map[string]string{}, ""
	for _, k := range list {
		got[k.Key] = k.Value
		all += k.Value + "\n"
	}
	for key, want := range map[string]string{
		"admin.users": "ops, root", "pool.limit": "auto", "upstream": "postgres://app:***@db:5432/app", "classes[0].name": "high", `databases["my db"].pool.mode`: "session",
		"login_timeout": "1m", "auth.users.app.password": "***", "tls.mode": "off", "log.level": "info", "listen[0].addr": "127.0.0.1:6432",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if !slices.IsSortedFunc(list, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) }) || strings.Contains(all, "hunter2") {
		t.Errorf("not sorted, or with a secret: %v", list)
	}
}
