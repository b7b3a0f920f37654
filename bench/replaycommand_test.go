package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/bench/report"
	"pgguard/proxy/pgtest"
)

// TestReplayPlaysWhatPostgreSQLLogged: a log that a real server has written, in each form it has, is played against that server: all statements, with their
// arguments, in their sessions.
func TestReplayPlaysWhatPostgreSQLLogged(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{
		"logging_collector": "on", "log_destination": "csvlog", "log_directory": "statements", "log_filename": "all.log",
	}})
	forms := []string{"csv"}
	if c.Version() >= 15 {
		forms = append(forms, "json")
		if err := c.Exec(t.Context(), "alter system set log_destination = 'csvlog, jsonlog'"); err != nil {
			t.Fatal(err)
		}
		if err := c.Restart("fast"); err != nil {
			t.Fatal(err)
		}
	}
	logged(t, c)
	dir := t.TempDir()
	for _, form := range forms {
		text := finished(t, filepath.Join(c.DataDir(), "statements", "all."+form))
		if err := os.WriteFile(filepath.Join(dir, form), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range forms {
		if err := c.Exec(t.Context(), "truncate played"); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, form+".out")
		var told, failed bytes.Buffer
		args := []string{"replay", filepath.Join(dir, form), "--server", c.URL("postgres"), "--target", "direct", "--repeats", "1", "--speed", "2", "--out", out}
		if code := Main(t.Context(), args, &told, &failed); code != exitFine {
			t.Fatalf("%s: %d: %s", form, code, failed.String())
		}
		f, err := report.Load(out)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]float64{"statements": 12, "failed": 1, "failed logins": 0, "logins": 1, "not played in time": 0, "cannot be played": 0} {
			if got, ok := f.Runs[0].Value(name); !ok || got != want {
				t.Errorf("%s: %s: %v, want %v; errors %v", form, name, got, want, f.Runs[0].Errors)
			}
		}
		if f.Runs[0].Errors["replay statements 23505"] != 1 {
			t.Errorf("%s: errors %v", form, f.Runs[0].Errors)
		}
		if rows := played(t, c); !slices.Equal(rows, []string{"1 it's <nil>", "2 <nil> 2"}) {
			t.Errorf("%s: played %q", form, rows)
		}
	}
}

// logged sends statements of every kind.
func logged(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	cfg, err := pgx.ParseConfig(c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		text string
		args []any
	}{
		{"set log_min_duration_statement = 0", nil},
		{"create table if not exists played(id int, word text, number int)", nil}, {"create table if not exists once(id int primary key)", nil},
		{"insert into played values ($1, $2, $3)", []any{1, "it's", nil}},
		{"begin", nil}, {"insert into played values ($1, $2, $3)", []any{2, nil, 2}}, {"commit", nil},
		{"begin", nil}, {"insert into played values (3)", nil}, {"rollback", nil},
		{"insert into once values (1)", nil}, // fails when it is played: the row is there
		{"select 1 /* the last */", nil},
	} {
		if _, err := conn.Exec(t.Context(), x.text, x.args...); err != nil {
			t.Fatalf("%s: %v", x.text, err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// finished is a log once it has the last statement.
func finished(t *testing.T, path string) []byte {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "/* the last */") && bytes.HasSuffix(text, []byte("\n")) {
			return text
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not whole: %v", path, err)
		}
	}
}

// played are the rows that there are now.
func played(t *testing.T, c *pgtest.Cluster) (all []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), "select id, word, number from played order by id")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(fmt.Sprintln(v...)))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
