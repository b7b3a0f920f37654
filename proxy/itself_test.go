package proxy

import (
	"strings"
	"testing"

	"pgguard/proxy/upstream"
)

// TestUpstreamIsNotTheGuardItself: each address that clients are served at is known, however it is written, and no other is taken for one.
func TestUpstreamIsNotTheGuardItself(t *testing.T) {
	for _, x := range []struct {
		listen, url string
		itself      bool
	}{
		{"127.0.0.1:6432", "postgres://app@127.0.0.1:6432/app", true},
		{"127.0.0.1:6432", "postgres://app@localhost:6432/app", true},
		{"localhost:6432", "postgres://app@127.0.0.1:6432/app", true},
		{"127.0.0.1:6432", "postgres://app@db,localhost:6432/app", true},
		{"127.0.0.1:6432", "postgres://app@db:6432/app?hostaddr=127.0.0.1", true},
		{":6432", "postgres://app@localhost:6432/app", true},
		{"[::1]:6432", "postgres://app@[::1]:6432/app", true},
		{"unix:/run/pgguard/", "postgres://app@/app?host=/run/pgguard&port=6432", true},
		{"127.0.0.1:6432", "postgres://app@127.0.0.1/app", false},
		{"127.0.0.1:6432", "postgres://app@db:6432/app", false},
		{"0.0.0.0:6432", "postgres://app@10.0.0.5:6432/app", false},
		{"[::1]:6432", "postgres://app@127.0.0.1:6432/app", false},
		{"127.0.0.1:0", "postgres://app@127.0.0.1:6432/app", false},
		{"unix:/run/pgguard", "postgres://app@/app?host=/run/postgresql&port=6432", false},
	} {
		cfg := Default()
		cfg.Listen, cfg.Auth.Insecure = []Listener{{Addr: x.listen}}, true
		var err error
		if cfg.Upstream, err = upstream.Parse(x.url); err != nil {
			t.Fatal(err)
		}
		for _, like := range []bool{false, true} {
			cfg.LikePgBouncer = like
			said := false
			for _, fault := range cfg.Validate() {
				said = said || strings.HasPrefix(fault.Error(), "upstream: is an address of pgguard itself")
			}
			if said != (x.itself && !like) {
				t.Errorf("listen %s, upstream %s, in PgBouncer's place %t: itself is %t", x.listen, x.url, like, said)
			}
		}
	}
}
