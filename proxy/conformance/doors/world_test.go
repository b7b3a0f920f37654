//go:build doors

package doors

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pgguard/proxy"
	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/pgtest"
)

// world is a PostgreSQL with a database for each method, and what clients show.
type world struct {
	t    *testing.T
	dir  string
	pg   *pgtest.Cluster
	self string // the system's name of who runs this

	mu   sync.Mutex
	said map[tried]outcome // guarded by mu: what PostgreSQL has said
}

// tried is an attempt by a driver.
type tried struct {
	driver string
	attempt
}

// methods of clients, and of servers, each with a database in which PostgreSQL asks by it.
var (
	clientMethods = []string{"trust", "password", "md5", "scram-sha-256", "cert", "peer"}
	serverMethods = []string{"trust", "password", "md5", "scram-sha-256"}
)

func newWorld(t *testing.T, bin string) *world {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), self: me.Username, said: map[tried]outcome{}}
	hba := []string{"host all postgres 127.0.0.1/32 trust", `local "peer" all peer`, `hostssl "cert" all 127.0.0.1/32 cert`, `local all postgres trust`}
	for _, m := range serverMethods {
		hba = append(hba, fmt.Sprintf(`host "%s" all 127.0.0.1/32 %[1]s`, m))
	}
	hba = append(hba, "host all all all reject", "local all all reject")
	if w.pg, err = pgtest.Start(t.Context(), pgtest.Options{BinDir: bin, HBA: hba}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.pg.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.papers()
	texts := []string{
		"set password_encryption = 'scram-sha-256'; create role app login password 'hunter2'", "set password_encryption = 'md5'; create role old login password 'hunter2'",
		"alter system set ssl_ca_file = 'ca.crt'", "alter system set ssl = on", "select pg_reload_conf()", fmt.Sprintf(`create role "%s" login password 'hunter2'`, w.self),
	}
	for _, m := range clientMethods {
		texts = append(texts, fmt.Sprintf(`create database "%s"`, m))
	}
	for _, text := range texts {
		if err := w.pg.Exec(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	for deadline := time.Now().Add(patience); ; {
		err := w.pg.Exec(t.Context(), "do $$ begin if current_setting('ssl') <> 'on' then raise 'not yet'; end if; end $$")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	w.write("passwords", []byte(fmt.Sprintf("*:*:*:app:hunter2\n*:*:*:old:hunter2\n*:*:*:%s:hunter2\n", w.self)))
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name string, text []byte) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// papers issues certificates for the server and the guard, which are the same, and for clients.
func (w *world) papers() {
	w.t.Helper()
	ca, err := auth.NewAuthority("doors", time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	own, err := ca.Pair()
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("ca.crt", own.Cert)
	for _, name := range []string{"127.0.0.1", "app", "other"} {
		p, err := ca.Issue(name, []string{name}, time.Now(), time.Hour)
		if err != nil {
			w.t.Fatal(err)
		}
		w.write(name+".crt", p.Cert)
		w.write(name+".key", p.Key)
		w.write(name+".key.pk8", pk8(w.t, p.Key))
		if name != "127.0.0.1" {
			continue
		}
		for file, text := range map[string][]byte{"server.crt": p.Cert, "server.key": p.Key, "ca.crt": own.Cert} {
			if _, err := w.pg.WriteFile(file, text); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// pk8 is a key in the form that pgjdbc reads.
func pk8(t *testing.T, key []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(key)
	if block.Type == "PRIVATE KEY" {
		return block.Bytes
	}
	k, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// door is where clients come in: PostgreSQL itself, or a guard.
type door struct {
	socket           string // the directory of its socket
	port, socketPort int
}

func (w *world) direct() door { return door{w.pg.SocketDir(), w.pg.Port(), w.pg.Port()} }

// guard starts a guard that asks its clients by a method, over TLS alone if tls is true. passwords: it has those of all users in a file.
func (w *world) guard(method string, tls, passwords bool) (d door, stop func(), err error) {
	dir, err := os.MkdirTemp(w.dir, "g") // short: the path of a socket has a bound
	if err != nil {
		return d, nil, err
	}
	passfile := "/nonexistent"
	if passwords {
		passfile = w.path("passwords")
	}
	mode, query := "off", "auto"
	if tls {
		mode = "require"
	}
	switch method {
	case "trust", "cert", "peer":
		query = ""
	}
	text := fmt.Sprintf("listen: ['127.0.0.1:0', 'unix:%s']\nhttp: off\nupstream: 'host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable passfile=%s'\n"+
		"auth: {method: %s, query: '%s', insecure: true}\ntls: {mode: %s, cert: %s, key: %s, client_ca: %s}\npool: {learned: off}\n",
		dir, w.pg.Port(), passfile, method, query, mode, w.path("127.0.0.1.crt"), w.path("127.0.0.1.key"), w.path("ca.crt"))
	f, err := config.Parse("doors", []byte(text))
	if err != nil {
		return d, nil, err
	}
	g, err := proxy.New(f.ToProxy())
	if err != nil {
		return d, nil, err
	}
	if err := g.Listen(); err != nil {
		return d, nil, err
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(context.Background()) }()
	d = door{socket: dir, socketPort: 6432}
	for _, a := range g.Addrs() {
		if tcp, ok := a.(*net.TCPAddr); ok {
			d.port = tcp.Port
		}
	}
	return d, func() {
		if err := g.Close(); err != nil {
			w.t.Error(err)
		}
		if err := <-served; err != nil {
			w.t.Error(err)
		}
		_ = os.RemoveAll(dir)
	}, nil
}
