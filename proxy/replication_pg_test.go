//go:build pg

package proxy

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// replicated is a cluster with walsenders, and a guard in front of it.
func replicated(t *testing.T, set func(*Config)) (*pgtest.Cluster, *guard) {
	t.Helper()
	c := pgtest.New(t, pgtest.Options{
		Settings: map[string]string{"wal_level": "logical"},
		HBA:      []string{"host replication all 127.0.0.1/32 trust"},
	})
	return c, newGuard(t, address(c), set)
}

// stream starts a command that ends in streaming and reads up to its start.
func (c *caller) stream(t *testing.T, text string) {
	t.Helper()
	if err := c.send(simple(text)); err != nil {
		t.Fatal(err)
	}
	typ, body, err := c.next()
	if err != nil || typ != wire.CopyBothResponse {
		t.Fatalf("%s: got %q %q %v, want CopyBothResponse", text, typ, body, err)
	}
}

// until reads the stream until text has come.
func (c *caller) until(t *testing.T, text string) {
	t.Helper()
	for {
		typ, body, err := c.next()
		if err != nil || typ != wire.CopyData {
			t.Fatalf("got %q %q %v in the stream, want %q", typ, body, err, text)
		}
		if bytes.Contains(body, []byte(text)) {
			return
		}
	}
}

// logical logs in for logical replication through addr and streams the changes of table watched.
func logical(t *testing.T, c *pgtest.Cluster, addr string) *caller {
	t.Helper()
	if err := c.Exec(t.Context(), "create table watched (v text); create publication p for table watched"); err != nil {
		t.Fatal(err)
	}
	client := mustCall(t, addr, "postgres", "postgres", "replication", "database")
	client.want(t, client.query, "CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL pgoutput", "", 'I')
	client.stream(t, "START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '1', publication_names 'p')")
	return client
}

// walsenders is how many the server has.
func walsenders(t *testing.T, admin *caller) string {
	t.Helper()
	return admin.one(t, "select count(*) from pg_stat_activity where backend_type = 'walsender'")
}

func TestReplicationStreamsChanges(t *testing.T) {
	c, g := replicated(t, func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	client := logical(t, c, g.addr)
	writer := g.call(t)
	for i := range 20 {
		text := fmt.Sprintf("value %d %s", i, strings.Repeat("x", i*i*300))
		writer.want(t, writer.query, "insert into watched values ('"+text+"')", "", 'I')
		client.until(t, text)
	}
	if st := g.pool(); st.Servers["idle"]+st.Servers["active"] != 1 {
		t.Errorf("servers %v: a replication client took one of the pool", st.Servers)
	}
	if n := g.Stats().Clients["active"]; n != 1 {
		t.Errorf("%d clients active, want the replication client", n)
	}
	_ = client.send(msgCopyDone)
	for typ := byte(0); typ != wire.ReadyForQuery; {
		var err error
		if typ, _, err = client.next(); err != nil {
			t.Fatal(err)
		}
	}
	client.want(t, client.query, "IDENTIFY_SYSTEM", "", 'I')
}

// TestReplicationLoginSaysWhatTheServerSays compares logins, right and wrong, with the server's own answers.
func TestReplicationLoginSaysWhatTheServerSays(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{HBA: []string{"host replication postgres 127.0.0.1/32 trust"}})
	if err := c.Exec(t.Context(), "create role plain login; create role unlisted login replication"); err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, address(c), nil)
	for _, params := range [][]string{
		{"replication", "true"},
		{"replication", "T"},
		{"replication", "on"},
		{"replication", "1"},
		{"replication", "yes"},
		{"replication", "true", "application_name", "standby 1", "options", "-c datestyle=German"},
		{"replication", "database"},
		{"replication", "database", "client_encoding", "LATIN1"},
		{"replication", "database", "database", "nowhere"},
		{"replication", "database", "work_mem", "nonsense"},
		{"replication", "perhaps"},
		{"replication", ""},
		{"replication", "of"},
		{"replication", "N"},
		{"replication", "database", "user", "plain"},
		{"replication", "true", "user", "plain"},
		{"replication", "true", "user", "unlisted"},
	} {
		t.Run(strings.Join(params, " "), func(t *testing.T) {
			params := append([]string{"user", "postgres", "database", "postgres"}, params...)
			want := greeting(t, address(c), wire.Version30, params...)
			if last := want[len(want)-1]; last == "closed" && want[0][0] == 'R' {
				want = want[1:] // the server lets a client in before it looks at what it asks for
			}
			compare(t, want, greeting(t, g.addr, wire.Version30, params...))
		})
	}
}

func TestReplicationWithAPassword(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{HBA: []string{"host replication copier 127.0.0.1/32 scram-sha-256"}})
	if err := c.Exec(t.Context(), "set password_encryption = 'scram-sha-256'; create role copier login replication password 'sesame'"); err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]string{"sesame": "", "wrong": "28P01"} {
		g := newGuard(t, address(c), func(cfg *Config) { cfg.Upstream.User, cfg.Upstream.Password = "copier", password })
		client, err := call(g.addr, "copier", "postgres", "replication", "true")
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		client.want(t, client.query, "IDENTIFY_SYSTEM", "", 'I')
		_ = client.Close()
	}
}

func TestReplicationCommandsByPsql(t *testing.T) {
	c, g := replicated(t, nil)
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), psql, "-XAtw", "-d", "host=127.0.0.1 port="+portOf(t, g.addr)+" user=postgres dbname=postgres replication=database",
		"-c", "CREATE_REPLICATION_SLOT kept LOGICAL pgoutput", "-c", "select 'and SQL, too'", "-c", "READ_REPLICATION_SLOT nothing").CombinedOutput()
	if err != nil && c.Version() >= 15 || !strings.HasPrefix(string(out), "kept|0/") || !strings.Contains(string(out), "and SQL, too") {
		t.Errorf("%v\n%s", err, out)
	}
	if slot := direct(t, c).one(t, "select slot_name from pg_replication_slots"); slot != "kept" {
		t.Errorf("slot %q", slot)
	}
}

func TestReplicationClientKilled(t *testing.T) {
	c, g := replicated(t, nil)
	admin := direct(t, c)
	client := logical(t, c, g.addr)
	if n := walsenders(t, admin); n != "1" {
		t.Fatalf("%s walsenders, want 1", n)
	}
	client.kill()
	eventually(t, "walsender gone", func() bool { return walsenders(t, admin) == "0" })
	eventually(t, "client forgotten", func() bool { return g.clients() == 0 })
	if n := len(g.keys.owners); n != 0 {
		t.Errorf("%d cancel keys are left", n)
	}
}

func TestReplicationServerEnds(t *testing.T) {
	c, g := replicated(t, nil)
	admin := direct(t, c)
	client := logical(t, c, g.addr)
	admin.want(t, admin.query, "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'", "", 'I')
	client.lastWord(t, "57P01")
	again := mustCall(t, g.addr, "postgres", "postgres", "replication", "true")
	again.stream(t, "START_REPLICATION PHYSICAL "+admin.one(t, "select pg_current_wal_flush_lsn()"))
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	again.lastWord(t, "")
	eventually(t, "clients forgotten", func() bool { return g.clients() == 0 })
	if err := c.StartAgain(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "served again", func() bool {
		client, err := call(g.addr, "postgres", "postgres", "replication", "true")
		if err == nil {
			_ = client.Close()
		}
		return err == nil
	})
}

// lastWord reads to the end of the connection and checks the error before it, "" for none.
func (c *caller) lastWord(t *testing.T, code string) {
	t.Helper()
	got := ""
	for {
		typ, body, err := c.next()
		if err != nil {
			break
		}
		if typ == wire.ErrorResponse {
			f, _ := wire.ParseError(body)
			got = string(f.Code)
		}
	}
	if got != code {
		t.Errorf("the last word was %q, want %q", got, code)
	}
}

func TestReplicationCommandIsCanceled(t *testing.T) {
	c, g := replicated(t, nil)
	admin := direct(t, c)
	client := mustCall(t, g.addr, "postgres", "postgres", "replication", "database")
	_ = client.send(simple("select pg_sleep(90)"))
	awaitRunning(t, admin, "pg_sleep(90)")
	if err := client.cancel(); err != nil {
		t.Fatal(err)
	}
	if a, err := client.answer(); err != nil || a.code() != "57014" {
		t.Errorf("canceled: %v %s", err, a)
	}
	if n := g.Stats().Cancels["sent"]; n != 1 {
		t.Errorf("%d cancels sent, want 1", n)
	}
}

func TestReplicationClientsAreBounded(t *testing.T) {
	_, g := replicated(t, func(cfg *Config) { cfg.MaxClients = 1 })
	client := mustCall(t, g.addr, "postgres", "postgres", "replication", "true")
	for _, params := range [][]string{nil, {"replication", "true"}} {
		if _, err := call(g.addr, "postgres", "postgres", params...); err == nil || !strings.Contains(err.Error(), "53300") {
			t.Errorf("%q: got %v, want 53300", params, err)
		}
	}
	_ = client.Close()
	eventually(t, "client forgotten", func() bool { return g.clients() == 0 })
	again := g.call(t)
	again.want(t, again.query, "select 1", "", 'I')
}

func TestDrainEndsReplication(t *testing.T) {
	c, g := replicated(t, func(cfg *Config) { cfg.Grace = time.Second })
	client := logical(t, c, g.addr)
	start := time.Now()
	done := g.shutdown(t, context.Background())
	client.lastWord(t, "")
	if d := time.Since(start); d < 900*time.Millisecond {
		t.Errorf("ended after %s, before the grace time was over", d)
	}
	ended(t, done, 5*time.Second)
	admin := direct(t, c)
	eventually(t, "walsender gone", func() bool { return walsenders(t, admin) == "0" })
}

func TestReplicationWhileTheDatabaseIsDown(t *testing.T) {
	c, g := replicated(t, nil)
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := call(g.addr, "postgres", "postgres", "replication", "true"); err == nil || !strings.Contains(err.Error(), "57P03") {
		t.Errorf("got %v, want 57P03", err)
	}
}
