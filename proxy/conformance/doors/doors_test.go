//go:build doors

package doors

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// attempts are what is tried by one method of clients: each with a name for the report.
func (w *world) attempts(method string) map[string]attempt {
	switch method {
	case "cert":
		shows := func(user, name string) attempt {
			return attempt{User: user, Cert: w.path(name + ".crt"), Key: w.path(name + ".key")}
		}
		return map[string]attempt{
			"right": shows("app", "app"), "another's": shows("app", "other"), "as another": shows("old", "app"), "none": {User: "app"},
		}
	case "peer":
		return map[string]attempt{"right": {User: w.self}, "as another": {User: "app"}, "unknown": {User: "nobody"}}
	}
	return map[string]attempt{
		"right": {User: "app", Password: "hunter2"}, "md5 secret": {User: "old", Password: "hunter2"}, "wrong": {User: "app", Password: "wrong"},
		"unknown": {User: "nobody", Password: "hunter2"},
	}
}

// at is an attempt at a door, for a database, in the way that a method asks for.
func (w *world) at(d door, a attempt, database, method string, tls bool) attempt {
	a.Host, a.Port, a.Database, a.TLS, a.CA = "127.0.0.1", d.port, database, tls, w.path("ca.crt")
	if method == "peer" {
		a.Host, a.Port, a.TLS = d.socket, d.socketPort, false
	}
	if !a.TLS {
		a.Cert, a.Key = "", ""
	}
	return a
}

// row is a method of clients, with or without TLS.
type row struct {
	method string
	tls    bool
}

func (r row) String() string {
	switch {
	case r.method == "peer":
		return "peer, unix socket"
	case r.tls:
		return r.method + ", TLS"
	}
	return r.method + ", no TLS"
}

func rows() (all []row) {
	for _, m := range clientMethods {
		for _, tls := range []bool{false, true} {
			if m == "cert" && !tls || m == "peer" && tls {
				continue // there is no such thing
			}
			all = append(all, row{m, tls})
		}
	}
	return all
}

// once is what a driver's attempt at PostgreSQL itself comes to, which is made once.
func (w *world) once(driver string, a attempt, try func(attempt) outcome) outcome {
	w.mu.Lock()
	o, ok := w.said[tried{driver, a}]
	w.mu.Unlock()
	if !ok {
		o = try(a)
		w.mu.Lock()
		w.said[tried{driver, a}] = o
		w.mu.Unlock()
	}
	return o
}

// noPassword is what who cannot come in anyway is told by a guard that has no password for him, with PostgreSQL's code.
const noPassword = "guard: password authentication failed, none is configured for this user"

// faults plays one cell with one driver, and returns where the guard differs from PostgreSQL.
func (w *world) faults(d driver, r row, server string, passwords bool) (faults []string, tries int) {
	w.t.Helper()
	g, stop, err := w.guard(r.method, r.tls, passwords)
	if err != nil {
		return []string{err.Error()}, 0
	}
	defer stop()
	try := func(a attempt) outcome {
		o, err := d.try(a)
		if err != nil {
			o.Message = err.Error() // of the program, which is nobody's answer
			faults = append(faults, fmt.Sprintf("%s: %v", d.name, err))
		}
		return o
	}
	for name, a := range w.attempts(r.method) {
		asked := w.once(d.name, w.at(w.direct(), a, r.method, r.method, r.tls), try)
		known := a
		known.Password = "hunter2"
		behind := w.once(d.name, w.at(w.direct(), known, server, "", false), try)
		got := try(w.at(g, a, server, r.method, r.tls))
		tries++
		want := asked.User
		if behind.User == "" {
			want = ""
		}
		bare := behind.User == "" && got.Message == noPassword && got.Code == behind.Code
		if got.User != want || want == "" && !got.same(asked) && !got.same(behind) && !bare {
			faults = append(faults, fmt.Sprintf("%s, %s: got %q; PostgreSQL by %s: %q, by %s: %q", d.name, name, got, r.method, asked, server, behind))
		}
	}
	return faults, tries
}

// What a cell may say.
const (
	alone   = "yes"
	by      = "password file"
	differs = "**differs**"
)

// cell plays one cell with every driver.
func (w *world) cell(drivers []driver, r row, server string) (says string, tries int) {
	w.t.Helper()
	says = alone
	for _, d := range drivers {
		if r.method == "peer" && !d.sockets {
			continue
		}
		faults, n := w.faults(d, r, server, false)
		tries += n
		if len(faults) == 0 {
			continue
		}
		if faults, n = w.faults(d, r, server, true); len(faults) == 0 {
			tries += n
			says = by
			continue
		}
		for _, f := range faults {
			w.t.Errorf("PostgreSQL %d, %s, server %s: %s", w.pg.Version(), r, server, f)
		}
		return differs, tries
	}
	return says, tries
}

// atOnce is how many cells are played at once: most of the time of one it waits.
const atOnce = 6

// TestDoors plays every cell, and writes the document that DOORS_DOC names. DOORS_SERVERS are the directories of the servers' programs, DOORS_NODE that of
// node-postgres' modules, DOORS_JDBC pgjdbc's jar.
func TestDoors(t *testing.T) {
	drivers := []driver{
		{"libpq (psql)", true, psql}, {"pgx", true, pgx}, {"node-postgres", true, node(t, os.Getenv("DOORS_NODE"))},
		{"pgjdbc", false, jdbc(t, os.Getenv("DOORS_JDBC"))},
	}
	doc := &document{drivers: drivers, cells: map[string]map[string]string{}}
	for _, bin := range strings.Fields(os.Getenv("DOORS_SERVERS")) {
		w := newWorld(t, bin)
		doc.servers = append(doc.servers, w.pg.Version())
		var work sync.WaitGroup
		turns := make(chan struct{}, atOnce)
		for _, r := range rows() {
			for _, server := range serverMethods {
				turns <- struct{}{}
				work.Go(func() {
					defer func() { <-turns }()
					says, n := w.cell(drivers, r, server)
					doc.note(r.String(), server, says, n)
				})
			}
		}
		work.Wait()
	}
	if len(doc.servers) == 0 {
		t.Fatal("DOORS_SERVERS names no server")
	}
	t.Logf("%d attempts", doc.tries)
	if path := os.Getenv("DOORS_DOC"); path != "" && !t.Failed() {
		if err := os.WriteFile(path, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
