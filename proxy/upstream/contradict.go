package upstream

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usual are the values of keys that are not given.
var usual = map[string]string{"sslcertmode": "allow", "sslnegotiation": "postgres", "ssl_min_protocol_version": "TLSv1.2", "channel_binding": "prefer"}

// access are libpq's keys that say how to get to the PostgreSQL, whoever wants to.
func (u *Upstream) access() []key {
	var addrs []string
	for _, p := range u.Places() {
		addrs = append(addrs, p.HostAddr)
	}
	list := []key{{"hostaddr", strings.Trim(strings.Join(addrs, ","), ",")}, {"passfile", u.Passfile}}
	if u.Shuffle {
		list = append(list, key{"load_balance_hosts", "random"})
	}
	if u.ConnectTimeout != 0 && u.ConnectTimeout != defaultConnectTimeout {
		list = append(list, key{"connect_timeout", strconv.Itoa(int(u.ConnectTimeout / time.Second))})
	}
	return slices.Concat(list, u.TLS.keys(), u.Socket.keys(), u.Protocol.keys())
}

// Contradicts returns the keys by which o says otherwise than u how to get to the PostgreSQL at which both are. There is one way to each, and o may leave
// out what u says of it.
func (u Upstream) Contradicts(o Upstream) (keys []string) {
	has := map[string]string{}
	for _, k := range u.access() {
		has[k.name] = k.value
	}
	has["sslmode"] = u.TLS.mode()
	for _, k := range o.access() {
		same := k.value == "" || k.value == usual[k.name] || k.value == has[k.name]
		if k.name == "sslpassword" {
			same = cmp.Or(o.TLS.KeyPassword, u.TLS.KeyPassword) == u.TLS.KeyPassword
		}
		if !same {
			keys = append(keys, k.name)
		}
	}
	return keys
}
