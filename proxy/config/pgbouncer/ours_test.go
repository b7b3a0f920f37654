package pgbouncer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgguard/proxy/config"
)

// TestKeysOfPgBouncerStandForOurs, each one that is settable.
func TestKeysOfPgBouncerStandForOurs(t *testing.T) {
	for key, k := range ours {
		if settingOf(key) == nil || !config.Settable(k.key) {
			t.Errorf("%s is no key, or %s cannot be set", key, k.key)
		}
	}
	for _, c := range []struct{ key, value, path, want string }{
		{"pool_mode", "Session", "pool.mode", "session"}, {"default_pool_size", "0", "pool.max_servers_per_login", "auto"},
		{"server_lifetime", "2.5", "pool.lifetime", "2.5s"}, {"admin_users", "a, b", "admin.users", "a|b"}, {"client_tls_sslmode", "disable", "tls.mode", "off"},
		{"verbose", "2", "log.level", "debug"}, {"auth_type", "plain", "auth.method", "password"},
		{"auth_dbname", "users", "auth.query_at", "users"},
	} {
		o, ok := Ours(Assignment{c.key, c.value})
		if got := strings.Join(o.Values, "|"); !ok || o.Path != c.path || got != c.want {
			t.Errorf("%s = %s is %s = %s", c.key, c.value, o.Path, got)
		}
	}
	if _, ok := Ours(Assignment{"dns_max_ttl", "5"}); ok {
		t.Error("something stands for dns_max_ttl")
	}
}

// TestAssignmentsGoBeforeTheFile, and a wrong one is a fault with its name.
func TestAssignmentsGoBeforeTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pgbouncer.ini")
	text := "[databases]\nshop = host=db\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_type = any\npool_mode = session\n[databases]\nshop = host=db user=app\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := ConvertWith(name, []Assignment{{"pool_mode", "transaction"}, {"dns_max_ttl", "5"}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := out.Load()
	if err != nil || f.Pool.Mode != "transaction" {
		t.Errorf("the mode is %v, %v", f, err)
	}
	if all := strings.Join(out.Remarks, "\n"); !strings.Contains(all, "SET dns_max_ttl:1: dns_max_ttl: ") {
		t.Errorf("nothing is said of dns_max_ttl: %s", all)
	}
	for _, s := range out.Settings {
		if s.Key == "pool_mode" && (s.Value != "transaction" || s.Default != "session" || s.Fixed) || s.Key == "listen_port" && !s.Fixed {
			t.Errorf("%+v", s)
		}
	}
	if _, err := ConvertWith(name, []Assignment{{"pool_mode", "none"}}); err == nil || !strings.Contains(err.Error(), "SET pool_mode:1:1: pool_mode: ") {
		t.Errorf("a wrong value: %v", err)
	}
}

// TestAuthDbnameThatIsNoDatabase is told of at a login in PgBouncer's place, as PgBouncer does, with a remark; it is a fault of a configuration of pgguard's own.
func TestAuthDbnameThatIsNoDatabase(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pgbouncer.ini")
	text := "[databases]\nshop = host=db auth_user=app auth_dbname=away\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_type = md5\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := ConvertWith(name, []Assignment{{"auth_user", "app"}, {"auth_dbname", "gone"}})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := out.Load(); err != nil || f.Databases["shop"].Auth.QueryAt != "away" || f.Auth.QueryAt != "gone" {
		t.Errorf("in PgBouncer's place: %v, %v", f, err)
	}
	said := strings.Join(out.Remarks, "\n")
	for _, want := range []string{`pgbouncer.ini:2: auth_dbname: "away" is no database here`, `SET auth_dbname:1: auth_dbname: "gone" is no database here`} {
		if !strings.Contains(said, want) {
			t.Errorf("no remark %s in:\n%s", want, said)
		}
	}
	_, err = Convert(name)
	if want := `pgbouncer.ini:2:42: databases.shop.auth.query_at: there is no database "away"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("of its own: %v, want %s", err, want)
	}
}

// TestRuleAboutNoDatabase: a line of the HBA file about a database that is nowhere is a fault, with its place; PgBouncer takes it, and so does who is in its place.
func TestRuleAboutNoDatabase(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "pgbouncer.ini")
	for file, text := range map[string]string{
		name:                        "[databases]\nshop = host=db user=app\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_type = hba\nauth_file = " + filepath.Join(dir, "users") + "\nauth_hba_file = " + filepath.Join(dir, "hba") + "\n",
		filepath.Join(dir, "hba"):   "local all all trust\nlocal shop,shpo all reject\n",
		filepath.Join(dir, "users"): "\"app\" \"x\"\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ConvertWith(name, nil); err != nil {
		t.Errorf("in PgBouncer's place: %v", err)
	}
	_, err := Convert(name)
	if want := `hba:2:1: auth.rules[1].database: there is no database "shpo"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
