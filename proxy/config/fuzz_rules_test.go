package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgguard/proxy/auth"
)

// FuzzRules reads a rule of any words, and asks it about any visitor: it is a fault, or the rule that is asked is about exactly those that pg_hba.conf's line
// of these words would be about, and a name that a certificate or the kernel gives comes in as nobody but those of the map.
func FuzzRules(f *testing.F) {
	f.Add("10.0.0.0/8", "app", "all", "cert", "cn", "app", "10.1.2.3", "app", "app", "cn")
	f.Add("::1", "sameuser", "x", "scram-sha-256", "", "", "::1", "x", "x", "")
	f.Add("unix", "replication", "postgres", "peer", "root", "all", "", "replication", "postgres", "root")
	f.Add("all", "all", "a\x00b", "cert", "a\x00b", "a", "fe80::1%eth0", "all", "all", "a")
	f.Add("::ffff:10.0.0.1", "sameuser", "all", "cert", "cn", "all", "10.0.0.1", "x", "x", "cn")
	f.Add("::ffff:10.0.0.0/104", "all", "all", "cert", "cn", "all", "::ffff:10.1.0.1", "x", "x", "cn")
	f.Add("all", "sameuser", "all", "cert", "cn", "all", "10.0.0.1", "sameuser", "x", "cn")
	f.Add("fe80::1%eth0", "all", "all", "cert", "cn", "all", "fe80::1%eth1", "x", "x", "cn")
	f.Add("10.0.0.1/33", "", "", "trust", "", "", "::ffff:10.0.0.1", "", "", "")
	f.Fuzz(func(t *testing.T, address, database, user, method, name, as, from, asksFor, is, shows string) {
		text := func(s string) string { b, _ := json.Marshal(s); return string(b) }
		file, err := Parse("fuzz", fmt.Appendf(nil, "upstream: postgres://a@b/c\ntls: {mode: allow, cert: a, key: b, client_ca: c}\nauth: {query: auto, insecure: true, "+
			"method: scram-sha-256, rules: [{address: %s, database: %s, user: %s, method: %s, map: {%s: %s}}]}", text(address), text(database), text(user), text(method),
			text(name), text(as)))
		if err != nil {
			return
		}
		policy := file.ToProxy().Auth.Policy
		v := auth.Visitor{Database: asksFor, User: is, TLS: true}
		if from != "" {
			if v.Address, err = netip.ParseAddr(from); err != nil {
				return
			}
		}
		rule, ok := policy.For(v)
		if want := about(t, address, from) && (database == "all" || database == asksFor && !slices.Contains(auth.Keywords, asksFor) || database == "sameuser" && is == asksFor) &&
			(user == "all" || user == is); ok != want {
			t.Fatalf("address %q, database %q, user %q is about %+v: %t", address, database, user, v, ok)
		}
		if ok && (string(rule.Method) != method || !slices.Contains(auth.Methods, rule.Method)) {
			t.Fatalf("method %q is %q", method, rule.Method)
		}
		if ok && rule.Admits(shows, is) != (shows == name && (as == is || as == "all")) {
			t.Fatalf("%q, who may come in as %q, comes in as %q by %q", name, as, is, shows)
		}
	})
}

// about is what the address of one rule says of a visitor's.
func about(t *testing.T, address, from string) bool {
	t.Helper()
	switch {
	case address == "all":
		return true
	case address == "unix" || from == "":
		return address == "unix" && from == ""
	}
	a := netip.MustParseAddr(from).Unmap().WithZone("")
	host, bits, network := strings.Cut(address, "/")
	b, err := netip.ParseAddr(host)
	if err != nil {
		t.Fatalf("address %q is taken", address)
	}
	if !network {
		return a == b.Unmap()
	}
	p, err := netip.ParsePrefix(host + "/" + bits)
	if b.Is4In6() { // which a client over IPv4 has, too
		a = netip.AddrFrom16(a.As16())
	}
	return err == nil && p.Contains(a)
}
