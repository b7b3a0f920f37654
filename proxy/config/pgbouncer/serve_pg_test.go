//go:build pg

package pgbouncer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy"
	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
)

// patience is for a machine that is busy with something else.
const patience = 30 * time.Second

// directory is one with files, by whose names the texts of a configuration name them.
type directory struct {
	t    *testing.T
	path string
	ca   *auth.Authority
}

func (d *directory) write(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.path, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// pair issues a certificate, and writes it and its key.
func (d *directory) pair(name string) auth.Pair {
	d.t.Helper()
	p, err := d.ca.Issue(name, []string{"localhost", "127.0.0.1"}, time.Now(), time.Hour)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(name+".crt", string(p.Cert))
	d.write(name+".key", string(p.Key))
	return p
}

// styles are configurations as people have them; DIR, HOST and PORT are the directory's and the server's. Of each, who he is
// told to be who logs in so, as user@database; "": he may not.
var styles = map[string]struct {
	ini    string
	logins map[string]string // by the rest of a connection string
}{
	"one database": {`
[databases]
shop = host=HOST port=PORT dbname=store
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 0
unix_socket_dir =
auth_type = scram-sha-256
auth_file = DIR/userlist.txt
pool_mode = transaction
`, map[string]string{
		"user=app password=hunter2 dbname=shop":  "app@store",
		"user=app password=hunter3 dbname=shop":  "",
		"user=app password=hunter2 dbname=store": "",
	}},
	"every name, with auth_query": {`
[databases]
* = host=HOST port=PORT auth_user=lookup
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 0
unix_socket_dir =
auth_type = md5
auth_file = DIR/lookup.txt
auth_query = SELECT * FROM pgbouncer.get_auth($1)
pool_mode = transaction
`, map[string]string{
		"user=app password=hunter2 dbname=store":    "app@store",
		"user=other password=hunter4 dbname=store2": "other@store2",
		"user=other password=hunter2 dbname=store":  "",
	}},
	"rules": {`
[databases]
store = host=HOST port=PORT
store2 = host=HOST port=PORT pool_mode=session
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 0
unix_socket_dir =
auth_type = hba
auth_hba_file = DIR/hba.conf
auth_file = DIR/userlist.txt
`, map[string]string{
		"user=app dbname=store":                     "app@store",
		"user=postgres dbname=store":                "",
		"user=app password=hunter2 dbname=store2":   "app@store2",
		"user=app dbname=store2":                    "",
		"user=other password=hunter4 dbname=store2": "",
	}},
	"many databases and users": {`
%include DIR/databases.ini
[users]
app = max_user_connections=3
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 0
unix_socket_dir =
auth_type = trust
auth_file = DIR/userlist.txt
default_pool_size = 2
`, map[string]string{
		"user=reader dbname=shop":   "app@store",
		"user=reader dbname=report": "other@store2 Asia/Tokyo",
		"user=app dbname=plain":     "app@store",
		"user=reader dbname=plain":  "", // PostgreSQL does not know him
		"user=nobody dbname=shop":   "",
	}},
	"TLS": {`
[databases]
store = host=HOST port=PORT
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 0
unix_socket_dir =
auth_type = cert
auth_file = DIR/userlist.txt
client_tls_sslmode = verify-full
client_tls_ca_file = DIR/ca.crt
client_tls_cert_file = DIR/server.crt
client_tls_key_file = DIR/server.key
server_tls_sslmode = verify-full
server_tls_ca_file = DIR/ca.crt
`, map[string]string{
		"user=app dbname=store sslmode=verify-full sslrootcert=DIR/ca.crt sslcert=DIR/app.crt sslkey=DIR/app.key":   "app@store tls",
		"user=other dbname=store sslmode=verify-full sslrootcert=DIR/ca.crt sslcert=DIR/app.crt sslkey=DIR/app.key": "",
		"user=app dbname=store sslmode=verify-full sslrootcert=DIR/ca.crt":                                          "",
		"user=app dbname=store sslmode=disable":                                                                     "",
	}},
}

// prepare makes a server for the styles, and the files that they name.
func prepare(t *testing.T) (*directory, *pgtest.Cluster) {
	t.Helper()
	d := &directory{t: t, path: t.TempDir()}
	var err error
	if d.ca, err = auth.NewAuthority("test", time.Hour); err != nil {
		t.Fatal(err)
	}
	pair, err := d.ca.Pair()
	if err != nil {
		t.Fatal(err)
	}
	d.write("ca.crt", string(pair.Cert))
	d.pair("app")
	server := d.pair("server")
	c := pgtest.New(t, pgtest.Options{HBA: []string{"host all all 127.0.0.1/32 scram-sha-256"}})
	cert, err := c.WriteFile("guard.crt", server.Cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := c.WriteFile("guard.key", server.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"create role app login password 'hunter2'", "create role other login password 'hunter4'", "create role lookup login password 'hunter5'",
		"create database store", "create database store2",
		fmt.Sprintf("alter system set ssl_cert_file = '%s'", cert), fmt.Sprintf("alter system set ssl_key_file = '%s'", key),
		"alter system set ssl = on", "select pg_reload_conf()",
	} {
		if err := c.Exec(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	d.write("userlist.txt", `"app" "hunter2"`+"\n"+`"reader" ""`+"\n"+`"other" "hunter4"`+"\n")
	d.write("lookup.txt", `"lookup" "hunter5"`+"\n")
	d.write("hba.conf", "host store all 127.0.0.1/32 trust\nhost store2 app 127.0.0.1/32 scram-sha-256\n")
	d.write("databases.ini", d.fill(c, `[databases]
shop = host=HOST port=PORT user=app password=hunter2 dbname=store
report = host=HOST port=PORT user=other dbname=store2 timezone=Asia/Tokyo
plain = host=HOST port=PORT dbname=store
`))
	return d, c
}

func (d *directory) fill(c *pgtest.Cluster, text string) string {
	return strings.NewReplacer("DIR", d.path, "HOST", c.Host(), "PORT", fmt.Sprint(c.Port())).Replace(text)
}

// lookups is the function that looks up users, as PgBouncer's documentation has it.
const lookups = `create schema pgbouncer; grant usage on schema pgbouncer to lookup;
create function pgbouncer.get_auth(name text) returns table(username text, password text) language sql security definer as
$$ select rolname::text, rolpassword from pg_catalog.pg_authid where rolname = name $$`

// TestConvertedConfigurationsServe: five configurations of different style let in whom PgBouncer would, and nobody else, and bring them where
// they belong.
func TestConvertedConfigurationsServe(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSSLMODE"} {
		t.Setenv(name, "")
	}
	d, c := prepare(t)
	if err := c.Exec(t.Context(), lookups); err != nil {
		t.Fatal(err)
	}
	for name, s := range styles {
		t.Run(name, func(t *testing.T) {
			out, err := Convert(d.write("pgbouncer.ini", d.fill(c, s.ini)))
			if err != nil {
				t.Fatal(err)
			}
			addr := serve(t, out)
			for login, want := range s.logins {
				got, err := who(t, addr, d.fill(c, login))
				if got != want || (err == nil) != (want != "") {
					t.Errorf("%s: got %q, %v; want %q", login, got, err, want)
				}
			}
		})
	}
}

// TestTimeoutsOfPgBouncerDisconnect: who does nothing in a transaction for too long is disconnected, one's own time going before that of all; others are served on.
func TestTimeoutsOfPgBouncerDisconnect(t *testing.T) {
	d, c := prepare(t)
	out, err := Convert(d.write("pgbouncer.ini", d.fill(c, `
[databases]
* = host=HOST port=PORT
[users]
app = idle_transaction_timeout=1
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 0
unix_socket_dir =
auth_type = trust
auth_file = DIR/userlist.txt
pool_mode = transaction
idle_transaction_timeout = 1000
`)))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(serve(t, out), ":")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	var in [2]*pgx.Conn
	for i, user := range []string{"app", "other"} {
		if in[i], err = pgx.Connect(ctx, "host=127.0.0.1 dbname=store sslmode=disable port="+port+" user="+user); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in[i].Close(context.WithoutCancel(ctx)) }()
		if _, err := in[i].Exec(ctx, "begin; select 1"); err != nil {
			t.Fatal(err)
		}
	}
	var said *pgconn.PgError
	if _, err := in[0].WaitForNotification(ctx); !errors.As(err, &said) || said.Code != "25P03" {
		t.Errorf("got %v, want 25P03", err)
	}
	if _, err := in[1].Exec(ctx, "select 1"); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// serve runs a guard until the end of the test.
func serve(t *testing.T, c *Conversion) (addr string) {
	t.Helper()
	f, err := c.Load()
	if err != nil {
		t.Fatal(err)
	}
	srv, err := proxy.New(f.ToProxy())
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background()) }() // ends with Close
	t.Cleanup(func() { _ = srv.Close(); <-served })
	return srv.Addrs()[0].String()
}

// who logs in and asks who that is.
func who(t *testing.T, addr, login string) (string, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	_, port, _ := strings.Cut(addr, ":")
	if !strings.Contains(login, "sslmode") {
		login += " sslmode=disable"
	}
	conn, err := pgx.Connect(ctx, "host=localhost port="+port+" "+login)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var user, database, zone string
	var tls bool
	const query = `select current_user, current_database(), current_setting('TimeZone'), ssl from pg_stat_ssl where pid = pg_backend_pid()`
	if err := conn.QueryRow(ctx, query).Scan(&user, &database, &zone, &tls); err != nil {
		return "", err
	}
	said := user + "@" + database
	if zone == "Asia/Tokyo" {
		said += " " + zone
	}
	if tls && strings.Contains(login, "sslmode=verify-full") {
		said += " tls"
	}
	return said, nil
}
