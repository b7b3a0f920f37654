package auth

import (
	"net/netip"
	"testing"
)

// TestRulesAreThoseOfPgHBA: the first that matches decides, by address, database, user and TLS.
func TestRulesAreThoseOfPgHBA(t *testing.T) {
	nets := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	p := Policy{Method: MethodReject, Rules: []Rule{
		{Local: true, Users: []string{"admin"}, Method: MethodPeer},
		{Addresses: nets("10.1.0.0/16"), Users: []string{"evil"}, Method: MethodReject},
		{Addresses: nets("10.0.0.0/8", "fd00::/8"), Databases: []string{"app", "reports"}, Over: OverTLS, Method: MethodCert},
		{Addresses: nets("10.0.0.0/8"), Databases: []string{"sameuser"}, Method: MethodSCRAM},
		{Addresses: nets("10.0.0.0/8"), Databases: []string{"replication"}, Users: []string{"all"}, Method: MethodMD5},
		{Addresses: nets("127.0.0.0/8"), Databases: []string{"all"}, Over: OverPlain, Method: MethodTrust},
	}}
	for _, tt := range []struct {
		address, database, user string
		tls, walsender          bool
		want                    Method
	}{
		{"", "app", "admin", false, false, MethodPeer},
		{"", "app", "other", false, false, MethodReject},
		{"10.1.2.3", "app", "evil", true, false, MethodReject},
		{"10.2.2.3", "app", "evil", true, false, MethodCert},
		{"10.2.2.3", "app", "x", true, false, MethodCert},
		{"::ffff:10.2.2.3", "app", "x", true, false, MethodCert},
		{"fd00::1", "reports", "x", true, false, MethodCert},
		{"fd00::1%eth0", "reports", "x", true, false, MethodCert},
		{"10.2.2.3", "app", "x", false, false, MethodReject},
		{"10.2.2.3", "x", "x", false, false, MethodSCRAM},
		{"10.2.2.3", "x", "y", false, false, MethodReject},
		{"10.2.2.3", "sameuser", "y", false, false, MethodReject},
		{"10.2.2.3", "app", "x", true, true, MethodMD5},
		{"10.2.2.3", "replication", "x", true, false, MethodReject},
		{"127.0.0.9", "anything", "x", false, false, MethodTrust},
		{"127.0.0.9", "anything", "x", true, false, MethodReject},
		{"127.0.0.9", "anything", "x", false, true, MethodReject},
		{"192.0.2.1", "app", "admin", true, false, MethodReject},
	} {
		v := Visitor{Database: tt.database, User: tt.user, TLS: tt.tls, Walsender: tt.walsender}
		if tt.address != "" {
			v.Address = netip.MustParseAddr(tt.address)
		}
		if r, _ := p.For(v); r.Method != tt.want {
			t.Errorf("%+v: got %s", tt, r.Method)
		}
	}
}

func TestMapSaysAsWhomOneMayComeIn(t *testing.T) {
	plain, mapped := Rule{}, Rule{Map: map[string][]string{"root": {"postgres", "app"}, "ops": {"all"}}}
	for _, tt := range []struct {
		r          *Rule
		name, user string
		want       bool
	}{
		{&plain, "app", "app", true}, {&plain, "app", "other", false}, {&plain, "", "", true},
		{&mapped, "root", "postgres", true}, {&mapped, "root", "root", false}, {&mapped, "ops", "anybody", true}, {&mapped, "app", "app", false}, {&mapped, "", "postgres", false},
	} {
		if got := tt.r.Admits(tt.name, tt.user); got != tt.want {
			t.Errorf("%s as %s: %v", tt.name, tt.user, got)
		}
	}
}

func TestExposedIsTheWeakestWayInFromElsewhere(t *testing.T) {
	far, near := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for name, tt := range map[string]struct {
		p     Policy
		plain Method // where the network can be read
		tls   Method // where TLS is required
	}{
		"trust":               {Policy{Method: MethodTrust}, MethodTrust, MethodTrust},
		"scram":               {Policy{Method: MethodSCRAM}, MethodPassword, MethodReject},
		"cert":                {Policy{Method: MethodCert}, MethodReject, MethodReject},
		"trust nearby":        {Policy{Method: MethodReject, Rules: []Rule{{Addresses: near, Method: MethodTrust}, {Local: true, Method: MethodTrust}}}, MethodReject, MethodReject},
		"trust from far":      {Policy{Method: MethodReject, Rules: []Rule{{Addresses: far, Over: OverTLS, Method: MethodTrust}}}, MethodTrust, MethodTrust},
		"password over TLS":   {Policy{Method: MethodReject, Rules: []Rule{{Addresses: far, Over: OverTLS, Method: MethodPassword}}}, MethodReject, MethodReject},
		"password over plain": {Policy{Method: MethodReject, Rules: []Rule{{Addresses: far, Method: MethodMD5}}}, MethodPassword, MethodReject},
		"everybody rejected":  {Policy{Method: MethodTrust, Rules: []Rule{{Databases: Keywords, Method: MethodReject}}}, MethodReject, MethodReject},
		"in two rules":        {Policy{Method: MethodTrust, Rules: []Rule{{Method: MethodReject}, {Databases: []string{"replication"}, Method: MethodCert}}}, MethodReject, MethodReject},
		"but who replicates":  {Policy{Method: MethodTrust, Rules: []Rule{{Method: MethodReject}}}, MethodTrust, MethodTrust},
		"behind a rule":       {Policy{Method: MethodTrust, Rules: []Rule{{Databases: Keywords, Method: MethodCert}, {Databases: []string{"app"}, Method: MethodTrust}}}, MethodReject, MethodReject},
		"much of loopback":    {Policy{Method: MethodReject, Rules: []Rule{{Addresses: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Method: MethodTrust}}}, MethodTrust, MethodTrust},
	} {
		if got := tt.p.Exposed(false); got != tt.plain {
			t.Errorf("%s, without TLS: %s", name, got)
		}
		if got := tt.p.Exposed(true); got != tt.tls {
			t.Errorf("%s, with TLS: %s", name, got)
		}
	}
}
