package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgguard/proxy/paper"
)

// Doubts are sentences about what is given and cannot be meant: it changes nothing, or a secret is in a file that others can read. It looks at the rights of those files.
func (f *File) Doubts() []string {
	all := map[string]bool{}
	add := func(format string, args ...any) { all[fmt.Sprintf(format, args...)] = true }
	for _, text := range f.Upstream.Unused {
		add("upstream: %s", text)
	}
	for name, db := range f.Databases {
		for _, text := range db.Upstream.Unused {
			if !slices.Contains(f.Upstream.Unused, text) {
				add("%s: %s", join(join("databases", name), "upstream"), text)
			}
		}
	}
	f.doubtDoors(add)
	f.doubtFiles(add)
	return slices.Sorted(maps.Keys(all))
}

// doubtDoors tells add of ways in that nobody can take.
func (f *File) doubtDoors(add func(format string, args ...any)) {
	socket := slices.ContainsFunc(f.Listen, func(l Listen) bool { return strings.HasPrefix(l.Addr, "unix:") })
	c := f.ToProxy()
	over := c.NeedsTLS()
	if f.TLS.Cert != "" && !over {
		add("tls.cert is not used: nobody can come over TLS (tls.mode: off)")
	}
	for i, r := range f.Auth.Rules {
		_, local, _ := parseAddresses(r.Address)
		switch at := fmt.Sprintf("auth.rules[%d]", i); {
		case !over && r.TLS == "true":
			add("%s is about nobody: it is for clients over TLS, and nobody can come so (tls.mode: off)", at)
		case !over && r.Method == "cert":
			add("%s lets nobody in: certificates are shown over TLS, and nobody can come so (tls.mode: off)", at)
		case !socket && local && len(r.Address) == 1:
			add("%s is about nobody: it is for unix sockets, and listen has none", at)
		case !socket && r.Method == "peer":
			add("%s lets nobody in: peer is for unix sockets, and listen has none", at)
		}
	}
	if f.Password.given() && !f.wantsPassword() {
		add("upstream_password is not used: the upstream's URL, or PGPASSWORD, has the password")
	}
}

// given is true if there is a file or a program.
func (p *Password) given() bool { return p.File != "" || len(p.Command) > 0 }

// wantsPassword is true if an upstream has no password.
func (f *File) wantsPassword() bool {
	bare := func(u Upstream) bool { return !u.missing() && u.Password == "" }
	for _, db := range f.Databases {
		if bare(db.Upstream) {
			return true
		}
	}
	return bare(f.Upstream)
}

// doubtFiles tells add of secrets in files that others can read.
func (f *File) doubtFiles(add func(format string, args ...any)) {
	files := map[string]string{
		"auth.users_file": f.Auth.UsersFile, "upstream_password.file": f.Password.File, "admin.token_file": f.Admin.TokenFile,
	}
	for name, u := range f.Auth.Users {
		files[join("auth.users", name)+".password_file"] = u.PasswordFile
	}
	if err := paper.SecretFault(f.SecretsIn); err != nil {
		add("there are secrets in the configuration, and %v", err)
	}
	for key, path := range files {
		if err := paper.SecretFault(path); err != nil {
			add("%s: %v", key, err)
		}
	}
	for key, path := range map[string]string{"tls.key": f.TLS.Key, "admin.tls.key": f.Admin.TLS.Key} {
		if err := paper.KeyFault(path); err != nil {
			add("%s: %v", key, err)
		}
	}
}
