package pgtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// value runs one query that returns one value.
func value(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	res := conn.ExecParams(t.Context(), sql, nil, nil, nil, nil).Read()
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	return string(res.Rows[0][0])
}

// syncBuffer is a buffer for two goroutines.
type syncBuffer struct {
	mu sync.Mutex

	b bytes.Buffer // guarded by mu
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestClusterServesItsURLAndLeavesNothing(t *testing.T) {
	c, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(t.Context(), `create database "a/b c"; create role app`); err == nil {
		t.Error("create database ran inside the transaction of several statements")
	}
	if err := c.Exec(t.Context(), `create database "a/b c"`); err != nil {
		t.Fatal(err)
	}
	if got := value(t, c.URL("a/b c"), "select current_user || ' ' || current_database()"); got != "postgres a/b c" {
		t.Errorf("got %q", got)
	}
	at := c.Host() + "/32 " + strconv.Itoa(c.Port())
	if got := value(t, c.URL("postgres"), "select inet_server_addr() || ' ' || inet_server_port()"); got != at {
		t.Errorf("server is at %q, want %q", got, at)
	}
	if got := value(t, c.URL("postgres"), "show server_version_num"); strconv.Itoa(c.Version()) != got[:len(got)-4] {
		t.Errorf("version %d of server %s", c.Version(), got)
	}
	if got := value(t, c.URL("postgres"), "show fsync"); got != "off" {
		t.Errorf("fsync is %s in a cluster for tests", got)
	}
	if missing(c.SocketDir() + "/.s.PGSQL." + strconv.Itoa(c.Port())) {
		t.Error("no socket in SocketDir")
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if !missing(c.dir) {
		t.Errorf("%s is left", c.dir)
	}
	wantError(t, c.StartAgain(), "removed")
	wantError(t, c.Kill(), "removed")
	if got := c.LogTail(3); got != "" {
		t.Errorf("log of a stopped cluster: %q", got)
	}
}

func TestClusterTakesOptions(t *testing.T) {
	log := &syncBuffer{}
	c := New(t, Options{
		Durable:  true,
		Settings: map[string]string{"max_connections": "17", "log_line_prefix": `it's \ %p `},
		HBA:      []string{"host all all 127.0.0.1/32 scram-sha-256"},
		Log:      log,
	})
	_, err := pgconn.Connect(t.Context(), c.URL("postgres"))
	if err == nil {
		t.Fatal("logged in without the password that Options.HBA asks for")
	}
	err = c.Exec(t.Context(), "alter role postgres password 'hush'; do $$begin raise log 'one two three'; end$$")
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(c.URL("postgres"), "postgres@", "postgres:hush@", 1)
	for name, want := range map[string]string{
		"max_connections": "17", "log_line_prefix": `it's \ %p `, "fsync": "on", "synchronous_commit": "on",
		"full_page_writes": "on", "wal_segment_size": "16MB", "TimeZone": "UTC",
	} {
		if got := value(t, url, "select current_setting('"+name+"')"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	eventually(t, "the log is copied", func() bool { return strings.Contains(log.String(), "one two three") })
	if got := c.LogTail(50); !strings.Contains(got, "one two three") || !strings.Contains(got, `it's \`) {
		t.Errorf("tail of the log:\n%s", got)
	}
	if got := c.LogTail(1); strings.Contains(got, "\n") {
		t.Errorf("one line of the log: %q", got)
	}
	path, err := c.WriteFile("server.key", []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, url, "select pg_read_file('"+path+"')"); got != "key" {
		t.Errorf("the server reads %q", got)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "received immediate shutdown") {
		t.Errorf("the copied log lacks its end:\n%s", log)
	}
}

func TestStartFailureShowsTheLogAndCleansUp(t *testing.T) {
	tmp := openDir(t)
	t.Setenv("TMPDIR", tmp)
	_, err := Start(t.Context(), Options{Settings: map[string]string{"shared_buffers": "plenty"}})
	wantError(t, err, "start PostgreSQL", `invalid value for parameter "shared_buffers": "plenty"`)
	if left := matches(t, tmp, "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStartStopsWhenItsContextEnds(t *testing.T) {
	tmp := openDir(t)
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Start(ctx, Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := matches(t, tmp, "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMissingBinariesFailTheTestAndSayWhatToInstall(t *testing.T) {
	r := record(t, func(r *recorder) { New(r, Options{BinDir: t.TempDir()}) })
	wantError(t, errors.New(r.text()), "make deps", "apt-get install postgresql", "brew install postgresql", binEnv)

	t.Setenv(binEnv, t.TempDir())
	_, err := FindBinaries("")
	wantError(t, err, binEnv, "make deps")
}

func TestFindBinariesPrefersTheNamedDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	if got, err := FindBinaries(""); got != dir || err != nil {
		t.Errorf("from PATH: %q, %v", got, err)
	}
	t.Setenv("PATH", "")
	t.Setenv(binEnv, dir)
	if got, err := FindBinaries(""); got != dir || err != nil {
		t.Errorf("from %s: %q, %v", binEnv, got, err)
	}
	t.Setenv(binEnv, "/nowhere")
	if got, err := FindBinaries(dir); got != dir || err != nil {
		t.Errorf("from the argument: %q, %v", got, err)
	}
}

func TestVersionInPath(t *testing.T) {
	for path, want := range map[string]float64{
		"/usr/lib/postgresql/15/bin": 15, "/usr/lib/postgresql/9.6/bin": 9.6, "/usr/pgsql-17/bin": 17,
		"/opt/homebrew/opt/postgresql@16/bin": 16, "/usr/local/pgsql/bin": 0,
		"/Applications/Postgres.app/Contents/Versions/14/bin": 14,
	} {
		if got := versionIn(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
