package auth

import (
	"net/netip"
	"slices"
)

// Method is how a client proves who it is.
type Method string

// The methods, named as in pg_hba.conf.
const (
	MethodTrust    Method = "trust"         // it is believed
	MethodReject   Method = "reject"        // it may not come in
	MethodSCRAM    Method = "scram-sha-256" // it proves that it knows its password
	MethodMD5      Method = "md5"           // the same, or by an md5 digest where that is what is known of the password
	MethodPassword Method = "password"      // it tells its password
	MethodPeer     Method = "peer"          // the kernel says who it is; on unix sockets
	MethodCert     Method = "cert"          // its certificate says who it is
)

// Methods are all of them.
var Methods = []Method{MethodTrust, MethodSCRAM, MethodMD5, MethodPassword, MethodCert, MethodPeer, MethodReject}

// AsksPassword is true for the methods for which a client needs a password.
func (m Method) AsksPassword() bool {
	return m == MethodSCRAM || m == MethodMD5 || m == MethodPassword
}

// Over says of a rule which connections it is about.
type Over uint8

// The kinds of connections.
const (
	OverAny   Over = iota
	OverTLS        // with TLS only
	OverPlain      // without
)

// Keywords are what the Databases of a Rule may have that names no database.
var Keywords = []string{"all", "sameuser", "replication"}

// Rule is about the clients that match all of its fields that are not empty, as a line of pg_hba.conf is.
type Rule struct {
	Addresses []netip.Prefix // of a client by TCP; a client on a unix socket matches if Local is true
	Local     bool
	Databases []string // all, sameuser, replication or the name that the client asks for
	Users     []string // all or the name that the client gives
	Over      Over
	Method    Method
	// Map says for MethodPeer and MethodCert as which users somebody may come in; all is everybody. Nil: by his own name.
	Map map[string][]string
	// Known has who comes in by a method that asks for no password be a user that is known nevertheless.
	Known bool
}

// Visitor is a client as rules see it.
type Visitor struct {
	Address        netip.Addr // the zero value: on a unix socket
	Database, User string
	TLS            bool
	Walsender      bool // asks for physical replication, which is in no database
}

// Policy says by which method a client must prove who it is.
type Policy struct {
	Rules  []Rule // the first that matches decides
	Method Method // of whom none is about
}

// For returns the rule for a client; where none matches, one that has the Policy's method alone, and false.
func (p *Policy) For(v Visitor) (rule *Rule, ok bool) {
	for i := range p.Rules {
		if p.Rules[i].matches(v) {
			return &p.Rules[i], true
		}
	}
	return &Rule{Method: p.Method}, false
}

func (r *Rule) matches(v Visitor) bool {
	return r.matchesAddress(v.Address) && r.matchesDatabase(v) && (isAll(r.Users) || slices.Contains(r.Users, v.User)) &&
		(r.Over == OverAny || (r.Over == OverTLS) == v.TLS)
}

func (r *Rule) matchesAddress(a netip.Addr) bool {
	if len(r.Addresses) == 0 && !r.Local {
		return true
	}
	if !a.IsValid() {
		return r.Local
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(r.Addresses, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (r *Rule) matchesDatabase(v Visitor) bool {
	if v.Walsender {
		return slices.Contains(r.Databases, "replication")
	}
	return isAll(r.Databases) || slices.Contains(r.Databases, v.Database) && !slices.Contains(Keywords, v.Database) ||
		slices.Contains(r.Databases, "sameuser") && v.User == v.Database
}

// Admits is true if somebody who is known as name may come in as user.
func (r *Rule) Admits(name, user string) bool {
	if r.Map == nil {
		return name == user
	}
	as := r.Map[name]
	return slices.Contains(as, user) || slices.Contains(as, "all")
}

// Exposed is the weakest method by which clients of other machines come in, if the network between can be read: MethodTrust, MethodPassword
// for all that tells a password or what is as good, or MethodReject if none. encrypted is true if there is no other way than TLS.
func (p *Policy) Exposed(encrypted bool) Method {
	worst := MethodReject
	databases, replication := true, true // whether it is open who comes to databases, and who replicates
	for _, r := range append(slices.Clone(p.Rules), Rule{Method: p.Method, Databases: Keywords}) {
		any := len(r.Databases) == 0 || slices.ContainsFunc(r.Databases, func(name string) bool { return name != "replication" })
		replicates := slices.Contains(r.Databases, "replication")
		if !r.reachesFar() || !(databases && any || replication && replicates) {
			continue
		}
		switch {
		case r.Method == MethodTrust:
			return MethodTrust
		case r.Method.AsksPassword() && !encrypted && r.Over != OverTLS:
			worst = MethodPassword
		}
		if r.aboutEverybody() { // none behind it is asked
			databases, replication = databases && !isAll(r.Databases), replication && !replicates
		}
	}
	return worst
}

// Uses is true if a client by TCP may have to prove who it is by m, over a connection without TLS.
func (p *Policy) Uses(m Method) bool {
	for _, r := range p.Rules {
		if r.Method == m && r.Over != OverTLS && (len(r.Addresses) > 0 || !r.Local) {
			return true
		}
	}
	return p.Method == m
}

// aboutEverybody is true for a rule that is about every client who wants to where it is about.
func (r *Rule) aboutEverybody() bool {
	return len(r.Addresses) == 0 && !r.Local && isAll(r.Users) && r.Over == OverAny
}

// isAll is true for a list of names that leaves none out.
func isAll(names []string) bool { return len(names) == 0 || slices.Contains(names, "all") }

// reachesFar is true for a rule that is about clients of other machines.
func (r *Rule) reachesFar() bool {
	if len(r.Addresses) == 0 {
		return !r.Local
	}
	return slices.ContainsFunc(r.Addresses, func(p netip.Prefix) bool { return !loopback(p) })
}

// loopback is true if all of p is this machine.
func loopback(p netip.Prefix) bool {
	least := 8
	if p.Addr().Is6() {
		least = 128
	}
	return p.Addr().IsLoopback() && p.Bits() >= least
}
