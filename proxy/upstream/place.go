package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Place is one host at which a PostgreSQL is, or may be.
type Place struct {
	Host     string // a host name, an address, or a directory for a unix socket, or @NAME for an abstract one
	HostAddr string // the address to connect to; empty: what Host resolves to
	Port     int
}

// local is true for a unix socket: as libpq has it a path, or an @ and a name that no directory has.
func (p Place) local() bool { return strings.HasPrefix(p.Host, "/") || strings.HasPrefix(p.Host, "@") }

// String is host:port, or the path of the socket.
func (p Place) String() string {
	port := strconv.Itoa(p.Port)
	if p.local() {
		return p.Host + "/.s.PGSQL." + port
	}
	return net.JoinHostPort(cmp.Or(p.HostAddr, p.Host), port)
}

// Places are all hosts of the upstream, in its order.
func (u Upstream) Places() []Place {
	return append([]Place{{u.Host, u.HostAddr, u.Port}}, u.More...)
}

// Only is the upstream at one of its places alone, whatever is there.
func (u Upstream) Only(p Place) Upstream {
	u.Host, u.HostAddr, u.Port, u.More, u.Session = p.Host, p.HostAddr, p.Port, nil, ""
	return u
}

// local is true if every host is a unix socket.
func (u Upstream) local() bool {
	for _, p := range u.Places() {
		if !p.local() {
			return false
		}
	}
	return true
}

// Address names the instance: its hosts as host:port, or the paths of sockets, and which of them is meant.
func (u Upstream) Address() string {
	var list []string
	for _, p := range u.Places() {
		list = append(list, p.String())
	}
	name := strings.Join(list, ",")
	if u.Session != "" && u.Session != "any" {
		name += " " + u.Session
	}
	return name
}

// Identity is the same for upstreams of one instance: those with the same hosts, of which the same is meant.
func (u Upstream) Identity() string {
	var list []string
	for _, p := range u.Places() {
		list = append(list, p.Host+"\x00"+strconv.Itoa(p.Port))
	}
	name := strings.Join(list, "\x00")
	if u.Session != "any" && u.Session != "" {
		name += "\x00\x00" + u.Session
	}
	return name
}

// maxPlaces bounds the hosts of one upstream: each may take connect_timeout before the next is tried.
const maxPlaces = 16

// places reads where the PostgreSQL is. As in libpq there are as many hosts as addresses, and one port for all, or one for each.
func (v values) places(u *Upstream) error {
	hosts, addrs, ports := strings.Split(v.text("host"), ","), strings.Split(v.text("hostaddr"), ","), strings.Split(v.text("port"), ",")
	n := len(hosts)
	if v.text("hostaddr") != "" {
		if n = len(addrs); v.text("host") != "" && len(hosts) != n {
			return fmt.Errorf("%s names %s, and %s %s", v.name("host"), count(len(hosts), "host"), v.name("hostaddr"), count(n, "address"))
		}
	}
	if len(ports) != 1 && len(ports) != n {
		return fmt.Errorf("%s has %s for %s", v.name("port"), count(len(ports), "port"), count(n, "host"))
	}
	if n > maxPlaces {
		return fmt.Errorf("%s names %d hosts, more than %d", v.name("host"), n, maxPlaces)
	}
	at := func(list []string, i int) string {
		if i < len(list) {
			return list[i]
		}
		return list[0]
	}
	var all []Place
	for i := range n {
		p := Place{Host: at(hosts, i), Port: 5432}
		if v.text("hostaddr") != "" {
			p.HostAddr = addrs[i]
		}
		if p.HostAddr != "" && net.ParseIP(p.HostAddr) == nil {
			return errors.New(v.name("hostaddr") + " is not an IP address")
		}
		if p.Host == "" {
			p.Host, p.HostAddr = cmp.Or(p.HostAddr, "localhost"), ""
		}
		if text := at(ports, i); text != "" {
			var err error
			if p.Port, err = strconv.Atoi(text); err != nil || p.Port < 1 || p.Port > 65535 {
				return errors.New(v.name("port") + " is not a number from 1 to 65535; in a password write : as %3A, @ as %40 and / as %2F")
			}
		}
		all = append(all, p)
	}
	u.Host, u.HostAddr, u.Port = all[0].Host, all[0].HostAddr, all[0].Port
	if n > 1 {
		u.More = all[1:]
	}
	return nil
}

// count is a number with its noun.
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "one " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
