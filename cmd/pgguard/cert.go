package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"pgguard/proxy/auth"
)

// certCmd makes an authority and a certificate that it has signed.
type certCmd struct {
	Hosts []string `arg:"" optional:"" help:"Names and addresses by which clients call pgguard; localhost and 127.0.0.1 if there are none."`
	Dir   string   `default:"." help:"Where ca.crt, ca.key, server.crt and server.key go. None of them may exist."`
	Days  int      `default:"365" help:"For how many days they are valid."`
}

// hostName is a name that a client can look for in a certificate, with a * in the place of its first part or not.
var hostName = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// mostDays is a hundred years.
const mostDays = 36_500

// Run implements the command. It leaves nothing behind if a file exists already.
func (c *certCmd) Run(e *env) error {
	if len(c.Hosts) == 0 {
		c.Hosts = []string{"localhost", "127.0.0.1"}
	}
	if c.Days < 1 {
		return usageError{fmt.Errorf("--days: %d is less than 1", c.Days)}
	} else if c.Days > mostDays {
		return usageError{fmt.Errorf("--days: %d is more than %d", c.Days, mostDays)}
	}
	for _, h := range c.Hosts {
		if net.ParseIP(h) == nil && !hostName.MatchString(h) {
			return usageError{fmt.Errorf("%q is no name and no address of a host: give it as clients do, without scheme, port or brackets", h)}
		}
	}
	valid := time.Duration(c.Days) * 24 * time.Hour
	ca, err := auth.NewAuthority("pgguard cert", valid)
	if err != nil {
		return err
	}
	own, err := ca.Pair()
	if err != nil {
		return err
	}
	pair, err := ca.Issue(c.Hosts[0], c.Hosts, time.Now(), valid)
	if err != nil {
		return err
	}
	made := []struct {
		name string
		text []byte
		mode os.FileMode
	}{{"ca.crt", own.Cert, 0o644}, {"ca.key", own.Key, 0o600}, {"server.crt", pair.Cert, 0o644}, {"server.key", pair.Key, 0o600}}
	for _, f := range made {
		if _, err := os.Lstat(filepath.Join(c.Dir, f.name)); err == nil {
			return fmt.Errorf("%s exists already", filepath.Join(c.Dir, f.name))
		}
	}
	for _, f := range made {
		if err := os.WriteFile(filepath.Join(c.Dir, f.name), f.text, f.mode); err != nil {
			return err
		}
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "tls: {mode: require, cert: %s/server.crt, key: %s/server.key}\n# clients: sslmode=verify-full sslrootcert=%s/ca.crt\n", dir, dir, dir)
	return err
}
