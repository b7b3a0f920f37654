//go:build pg

package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// url names database postgres behind the guard.
func (g *guard) url(more string) string {
	return "postgres://postgres@" + g.addr + "/postgres?sslmode=disable" + more
}

// pgx in each of its ways of sending a statement: results, errors, blocks, batches and COPY as on a direct connection.
func TestPgx(t *testing.T) {
	g := narrow(t, 2, nil)
	for _, mode := range []string{"simple_protocol", "exec", "describe_exec", "cache_describe", "cache_statement"} {
		t.Run(mode, func(t *testing.T) {
			ctx, stop := context.WithTimeout(context.Background(), patience)
			defer stop()
			conn, err := pgx.Connect(ctx, g.url("&default_query_exec_mode="+mode))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(ctx) }()
			for i := range 5 {
				var n int
				var text string
				if err := conn.QueryRow(ctx, "select $1::int + 1, $2::text", i, "text").Scan(&n, &text); err != nil || n != i+1 || text != "text" {
					t.Fatalf("got %d, %s, %v", n, text, err)
				}
			}
			pgxBlock(ctx, t, conn)
			pgxBatch(ctx, t, conn)
		})
	}
}

func pgxBlock(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	t.Helper()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	n, err := tx.CopyFrom(ctx, pgx.Identifier{"keyed"}, []string{"id"}, pgx.CopyFromSlice(50_000, func(i int) ([]any, error) {
		return []any{1000 + i}, nil
	}))
	if err != nil || n != 50_000 {
		t.Errorf("copied %d, %v", n, err)
	}
	var out bytes.Buffer
	if tag, err := tx.Conn().PgConn().CopyTo(ctx, &out, "copy keyed to stdout"); err != nil || tag.RowsAffected() != 50_001 {
		t.Errorf("copied out %s, %v", tag, err)
	}
	_, err = tx.Exec(ctx, "insert into keyed values (1)")
	if e, ok := err.(*pgconn.PgError); !ok || e.Code != "23505" {
		t.Errorf("got %v, want 23505", err)
	}
	if _, err := tx.Exec(ctx, "select 1"); err == nil || !strings.Contains(err.Error(), "25P02") {
		t.Errorf("got %v, want 25P02", err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Error(err)
	}
}

func pgxBatch(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	t.Helper()
	var b pgx.Batch
	for i := range 50 {
		b.Queue("select $1::int", i).QueryRow(func(row pgx.Row) error {
			var got int
			if err := row.Scan(&got); err != nil || got != i {
				return fmt.Errorf("got %d, want %d: %w", got, i, err)
			}
			return nil
		})
	}
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		t.Error(err)
	}
}

// psql runs a script in psql at addr and returns all it printed.
func psql(t *testing.T, addr, script string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, "psql", "-X", "-h", host, "-p", port, "-U", "postgres", "-d", "postgres")
	cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "LC_ALL=C")
	cmd.Stdin = strings.NewReader(script)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return string(out)
}

func TestPsql(t *testing.T) {
	g := narrow(t, 2, nil)
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, []byte(strings.Repeat("a row\n", 20_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"describe": "\\d\n\\d items\n\\df\n\\l\n\\dt+\n\\du\n",
		"copy": "begin;\n\\copy items (name) from '" + in + "'\nselect count(*) from items where name = 'a row';\n" +
			"\\copy (select name from items where name = 'a row') to '" + out + "'\nrollback;\n",
		"copy fails": "\\copy keyed from '" + in + "'\nselect 1;\n\\copy keyed from program 'yes not a number | head -100000'\nselect 2;\n",
		"blocks":     "begin;\nselect 1/0;\nselect 1;\ncommit;\n\\set AUTOCOMMIT off\nselect 1;\nrollback;\n",
		"gdesc":      "select 1 as a, 'x' as b \\gdesc\nselect $1::int + 1 \\bind 4 \\g\n",
		"cursor":     "\\set FETCH_COUNT 10\nselect generate_series(1, 35);\n",
		"errors":     "\\set VERBOSITY sqlstate\nselect 1/0;\nselec;\nselect 1;\\; select 2;\n",
	} {
		t.Run(name, func(t *testing.T) {
			want, got := psql(t, address(shared), script), psql(t, g.addr, script)
			if want != got {
				t.Errorf("got\n%s\nwant\n%s", shorten([]byte(got)), shorten([]byte(want)))
			}
		})
	}
	if b, err := os.ReadFile(out); err != nil || len(b) != 20_000*len("a row\n") {
		t.Errorf("%d bytes copied out, %v", len(b), err)
	}
}
