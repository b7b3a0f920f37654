package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWhatChangesNothingIsSaid: who gives a certificate, a rule or a password that cannot come into use is told so, and who does not is told nothing.
func TestWhatChangesNothingIsSaid(t *testing.T) {
	const up, bare = "upstream: postgres://app:x@db/app\n", "upstream: postgres://app@db/app\n"
	for _, x := range []struct{ text, want string }{
		{up, ""},
		{up + "tls: {cert: a, key: b}", "tls.cert is not used: nobody can come over TLS (tls.mode: off)"},
		{up + "tls: {cert: a, key: b, mode: allow}", ""},
		{up + "tls: {cert: a, key: b}\nlisten: [{addr: '127.0.0.1:1', tls: allow}]", ""},
		{up + "auth: {query: auto, rules: [{tls: true, method: scram-sha-256}]}", "auth.rules[0] is about nobody: it is for clients over TLS, and nobody can come so (tls.mode: off)"},
		{up + "auth: {query: auto, rules: [{tls: false, method: scram-sha-256}]}", ""},
		{up + "tls: {client_ca: a}\nauth: {rules: [{method: reject}, {method: cert}]}", "auth.rules[1] lets nobody in: certificates are shown over TLS, and nobody can come so (tls.mode: off)"},
		{up + "auth: {rules: [{address: unix, method: trust}]}", "auth.rules[0] is about nobody: it is for unix sockets, and listen has none"},
		{up + "auth: {rules: [{address: [unix, 127.0.0.1], method: trust}]}", ""},
		{up + "auth: {rules: [{method: peer}]}", "auth.rules[0] lets nobody in: peer is for unix sockets, and listen has none"},
		{up + "listen: ['unix:/run/x']\nauth: {rules: [{address: unix, method: peer}]}", ""},
		{up + "upstream_password: {file: /none}", "upstream_password is not used: the upstream's URL, or PGPASSWORD, has the password"},
		{bare + "upstream_password: {file: /none}", ""},
		{up + "upstream_password: {command: [a]}\ndatabases: {other: {upstream: 'postgres://app@elsewhere/app'}}", ""},
	} {
		f, err := Parse("x", []byte(x.text))
		if err != nil {
			t.Errorf("%s: %v", x.text, err)
			continue
		}
		if got := strings.Join(f.Doubts(), "\n"); got != x.want {
			t.Errorf("%s: says %q, want %q", x.text, got, x.want)
		}
	}
}

// TestSecretsThatOthersCanReadAreSaid: PostgreSQL wants a key to be its owner's alone, or root's and a group's; a list of users, a token or a password is not for everybody.
func TestSecretsThatOthersCanReadAreSaid(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	keys := []string{"tls.key", "admin.tls.key"}
	others := []string{"auth.users_file", "auth.users.app.password_file", "upstream_password.file", "admin.token_file"}
	f, err := Parse("x", fmt.Appendf(nil, `
upstream: postgres://app@db/app
tls: {mode: allow, cert: %s, key: %s}
auth: {users: {app: {password_file: %s}}, users_file: %s}
upstream_password: {file: %s}
admin: {token_file: %s, tls: {cert: %[1]s, key: %[7]s}}`,
		in("cert"), in("tls.key"), in(others[1]), in(others[0]), in(others[2]), in(others[3]), in("admin.tls.key")))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Doubts(); len(got) > 0 {
		t.Errorf("of files that are not there it says %q", got)
	}
	group := keys // of a file that is not root's
	if os.Getuid() == 0 {
		group = nil
	}
	for mode, want := range map[os.FileMode][]string{
		0o600: nil, 0o400: nil, 0o700: nil, 0o640: group, 0o660: keys, 0o644: append(slices.Clone(keys), others...), 0o602: append(slices.Clone(keys), others...),
	} {
		for _, name := range append(slices.Clone(keys), others...) {
			if err := os.WriteFile(in(name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(in(name), mode); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, text := range f.Doubts() {
			name, rest, _ := strings.Cut(text, ": ")
			if !strings.Contains(rest, in(name)) || !strings.Contains(rest, fmt.Sprintf("%#o", mode)) {
				t.Errorf("%#o: %s", mode, text)
			}
			got = append(got, name)
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%#o: says something of %v, want of %v", mode, got, want)
		}
	}
}

// TestConfigurationsWithSecretsThatOthersCanReadAreSaid: of one without, and of what a variable gives, nothing is.
func TestConfigurationsWithSecretsThatOthersCanReadAreSaid(t *testing.T) {
	const bare = "upstream: postgres://app@db/app\n"
	for text, want := range map[string]bool{
		bare:                                false,
		"upstream: postgres://app:x@db/app": true,
		bare + "databases: {shop: {upstream: 'postgres://shop:x@db/shop'}}": true,
		bare + "auth: {users: {app: {password: x}}}":                        true,
		bare + "auth: {users: {app: {password_file: /none}}}":               false,
	} {
		path := filepath.Join(t.TempDir(), "pgguard.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for mode, said := range map[os.FileMode]bool{0o640: false, 0o644: want} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			f, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(f.Doubts(), "\n"); strings.Contains(got, path+" can be read by everybody") != said || got != "" && !said {
				t.Errorf("%#o, %s: says %q", mode, text, got)
			}
			over := Override{Path: "upstream", Values: []string{"postgres://app:y@db/app"}, Source: "PGGUARD_UPSTREAM"}
			if f, err = Load(path, over); err != nil || text == bare && len(f.Doubts()) > 0 {
				t.Errorf("%s, with a variable: %v %q", text, err, f.Doubts())
			}
		}
	}
}
