package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"time"

	"pgguard/pool/sorting"
	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/instance"
	"pgguard/proxy/upstream"
)

// tryOut reads the certificates and logs in to each upstream once, and says what came of it. It returns an error if anything failed.
func tryOut(e *env, f *config.File) error {
	cfg := f.ToProxy()
	failed := false
	for _, files := range []auth.Files{cfg.TLS.Files, f.PageFiles()} {
		if files.Cert == "" {
			continue
		}
		c, err := auth.NewCertificates(files, nil, nil)
		if err == nil {
			_, _ = fmt.Fprintf(e.err, "%s: the certificate is for %v, until %s\n", cmp.Or(files.Setting, "tls"), c.Names(), c.Leaf().NotAfter)
			err = c.Lapsed(time.Now())
		}
		if err != nil {
			failed = true
			_, _ = fmt.Fprintf(e.err, "%v\n", err)
		}
	}
	source, users, err := cfg.Passwords()
	if err != nil {
		return err
	}
	t := trial{ctx: e.ctx, told: instance.Config{Source: source, Users: users}, ways: cfg.Lookups(), say: e.err}
	all := []upstream.Upstream{cfg.Upstream}
	for _, d := range cfg.Databases {
		all = append(all, d.Upstream)
	}
	all = slices.DeleteFunc(all, func(u upstream.Upstream) bool { return u.Host == "" })
	sorting.By(all, func(a, b upstream.Upstream) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	for _, u := range slices.CompactFunc(all, func(a, b upstream.Upstream) bool { return reflect.DeepEqual(a, b) }) {
		if !t.upstream(u) {
			failed = true
		}
	}
	if failed {
		return errors.New("the configuration is right, and does not work")
	}
	return nil
}

// trial tries upstreams as serve would use them, and says what it has met.
type trial struct {
	ctx  context.Context
	told instance.Config              // of passwords
	ways map[string][]instance.Lookup // in which users are looked up, by upstream
	say  io.Writer
}

// upstream logs in to each host of an upstream, then where they lead to, and says what it has met. False: something does not work.
func (t *trial) upstream(u upstream.Upstream) (fine bool) {
	fine = true
	say := func(what, told string, err error) {
		if err != nil {
			fine, told = false, err.Error()
			if advice := adviceOn(err, u); advice != "" {
				told += "; " + advice
			}
		}
		_, _ = fmt.Fprintf(t.say, "%s: %s\n", what, told)
	}
	if places := u.Places(); len(places) > 1 {
		for _, p := range places {
			told, err := t.logIn(u.Only(p))
			say("host "+p.String(), told, err)
		}
	}
	told, err := t.logIn(u)
	say(u.String(), told, err)
	if err == nil {
		for _, how := range t.ways[u.Identity()] {
			say(u.String()+": auth.query", "users are looked up", t.lookUp(u, how))
		}
	}
	return fine
}

// lookUp looks up a user once.
func (t *trial) lookUp(u upstream.Upstream, how instance.Lookup) error {
	ctx, stop := context.WithTimeout(t.ctx, u.ConnectTimeout)
	defer stop()
	return instance.TryLookup(ctx, t.told, u, how)
}

// logIn logs in to an upstream once, and says who answered, and over what.
func (t *trial) logIn(u upstream.Upstream) (string, error) {
	d := upstream.NewDoor(u)
	d.Source, d.Users = t.told.Source, t.told.Users
	d.Learn(u)
	h := upstream.Handshake{User: u.User, Password: d.Password(u.User), Chooses: true}
	h.Params = map[string]string{"user": u.User, "database": u.OwnDatabase(), "application_name": "pgguard check"}
	if err := d.LogIn(t.ctx, &h); err != nil {
		return "", err
	}
	defer func() { _ = h.Conn.Close() }()
	told := "logged in"
	reported := map[string]string{}
	for _, r := range h.Reported {
		reported[r.Name] = r.Value
	}
	if v := reported["server_version"]; v != "" {
		told += " to PostgreSQL " + v
	}
	if len(u.More) > 0 {
		told += " at " + h.At.String()
	}
	if role := map[string]string{"on": ", a standby,", "off": ", a primary,"}[reported["in_hot_standby"]]; role != "" {
		told += role
	}
	over := ""
	if c, ok := h.Conn.(*tls.Conn); ok {
		over = tls.VersionName(c.ConnectionState().Version)
	}
	return told + lacks(h.Conn.RemoteAddr(), &u.TLS, over), nil
}

// lacks says by which TLS a login went, "" being none, and what that leaves open to others between here and the server.
func lacks(at net.Addr, s *upstream.Security, over string) string {
	tcp, ok := at.(*net.TCPAddr)
	far := ok && !tcp.IP.IsLoopback()
	switch {
	case over == "" && far:
		return " without TLS: others on the way can read and change what is sent; sslmode=verify-full prevents it"
	case over == "":
		return " without TLS"
	case far && s.Mode != "verify-full" && s.RootCert != "system":
		return " over " + over + ": nobody makes sure that it is this server; sslmode=verify-full does"
	}
	return " over " + over
}
