package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	all = slices.DeleteFunc(all, func(u upstream.Upstream) bool { return u == upstream.Upstream{} })
	slices.SortFunc(all, func(a, b upstream.Upstream) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	for _, u := range slices.Compact(all) {
		told, err := logInTo(e.ctx, u)
		if err != nil {
			failed, told = true, err.Error()
		}
		_, _ = fmt.Fprintf(e.err, "%s: %s\n", u, told)
		if cfg.Auth.Query == "" || err != nil {
			continue
		}
		told = "users are looked up"
		if err := tryLookup(e.ctx, cfg.Auth, u); err != nil {
			failed, told = true, err.Error()
		}
		_, _ = fmt.Fprintf(e.err, "%s: auth.query: %s\n", u, told)
	}
	if failed {
		return errors.New("the configuration is right, and does not work")
	}
	return nil
}

// tryLookup looks up a user once.
func tryLookup(ctx context.Context, a proxy.Auth, u upstream.Upstream) error {
	ctx, stop := context.WithTimeout(ctx, u.ConnectTimeout)
	defer stop()
	return instance.TryLookup(ctx, instance.Config{Query: a.Query, QueryDatabase: a.QueryDatabase, QueryUser: a.QueryUser}, u)
}

// logInTo logs in to an upstream once, and says who answered, and over what.
func logInTo(ctx context.Context, u upstream.Upstream) (string, error) {
	ctx, stop := context.WithTimeout(ctx, u.ConnectTimeout)
	defer stop()
	d := upstream.NewDoor(u)
	d.Learn(u)
	database := u.OwnDatabase()
	h := upstream.Handshake{User: u.User, Password: d.Password(database, u.User)}
	h.Params = map[string]string{"user": u.User, "database": database, "application_name": "pgguard check"}
	if err := d.LogIn(ctx, &h); err != nil {
		return "", err
	}
	defer func() { _ = h.Conn.Close() }()
	told := "logged in"
	for _, r := range h.Reported {
		if r.Name == "server_version" {
			told += " to PostgreSQL " + r.Value
		}
	}
	if c, ok := h.Conn.(*tls.Conn); ok {
		return told + " over " + tls.VersionName(c.ConnectionState().Version), nil
	}
	return told + " without TLS", nil
}
