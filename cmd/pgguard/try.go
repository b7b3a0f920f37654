package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"pgguard/proxy"
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
		if c, err := auth.NewCertificates(files, nil); err != nil {
			failed = true
			_, _ = fmt.Fprintf(e.err, "%v\n", err)
		} else {
			_, _ = fmt.Fprintf(e.err, "%s: the certificate is for %v, until %s\n", cmp.Or(files.Setting, "tls"), c.Leaf().DNSNames, c.Leaf().NotAfter)
		}
	}
	all := []upstream.Upstream{cfg.Upstream}
	for _, d := range cfg.Databases {
		all = append(all, d.Upstream)
	}
	all = slices.DeleteFunc(all, func(u upstream.Upstream) bool { return u.Host == "" })
	slices.SortFunc(all, func(a, b upstream.Upstream) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	for _, u := range slices.CompactFunc(all, func(a, b upstream.Upstream) bool { return reflect.DeepEqual(a, b) }) {
		if !tryUpstream(e, cfg.Auth, u) {
			failed = true
		}
	}
	if failed {
		return errors.New("the configuration is right, and does not work")
	}
	return nil
}

// tryUpstream logs in to each host of an upstream, then where they lead to, and says what it has met. False: something does not work.
func tryUpstream(e *env, a proxy.Auth, u upstream.Upstream) (fine bool) {
	fine = true
	say := func(what, told string, err error) {
		if err != nil {
			fine, told = false, err.Error()
			if advice := adviceOn(err, u); advice != "" {
				told += "; " + advice
			}
		}
		_, _ = fmt.Fprintf(e.err, "%s: %s\n", what, told)
	}
	if places := u.Places(); len(places) > 1 {
		for _, p := range places {
			told, err := logInTo(e.ctx, u.Only(p))
			say("host "+p.String(), told, err)
		}
	}
	told, err := logInTo(e.ctx, u)
	say(u.String(), told, err)
	if a.Query != "" && err == nil {
		say(u.String()+": auth.query", "users are looked up", tryLookup(e.ctx, a, u))
	}
	return fine
}

// tryLookup looks up a user once.
func tryLookup(ctx context.Context, a proxy.Auth, u upstream.Upstream) error {
	ctx, stop := context.WithTimeout(ctx, u.ConnectTimeout)
	defer stop()
	return instance.TryLookup(ctx, instance.Config{Query: a.Query, QueryDatabase: a.QueryDatabase, QueryUser: a.QueryUser}, u)
}

// logInTo logs in to an upstream once, and says who answered, and over what.
func logInTo(ctx context.Context, u upstream.Upstream) (string, error) {
	d := upstream.NewDoor(u)
	d.Learn(u)
	h := upstream.Handshake{User: u.User, Password: d.Password(u.User), Chooses: true}
	h.Params = map[string]string{"user": u.User, "database": u.OwnDatabase(), "application_name": "pgguard check"}
	if err := d.LogIn(ctx, &h); err != nil {
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
	if c, ok := h.Conn.(*tls.Conn); ok {
		return told + " over " + tls.VersionName(c.ConnectionState().Version), nil
	}
	return told + " without TLS", nil
}
