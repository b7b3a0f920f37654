//go:build doors

package doors

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// attempt is one try to come in.
type attempt struct {
	Host     string `json:"host"` // an address, or the directory of a socket
	Port     int    `json:"port"`
	Database string `json:"database"`
	User     string `json:"user"`
	Password string `json:"password"`
	TLS      bool   `json:"tls"`
	CA       string `json:"ca"`
	Cert     string `json:"cert"` // empty: none is shown
	Key      string `json:"key"`
}

// outcome is what came of it: the user that the client is, or what was said against it.
type outcome struct {
	User    string `json:"user"`
	Code    string `json:"code"` // SQLSTATE; empty where the driver does not tell it
	Message string `json:"message"`
}

// same is true if two outcomes tell an application the same.
func (o outcome) same(p outcome) bool {
	return o.User == p.User && o.Code == p.Code && o.Message == p.Message
}

func (o outcome) String() string {
	if o.User != "" {
		return "in as " + o.User
	}
	return strings.TrimSpace(o.Code + " " + o.Message)
}

// driver is what applications come in with.
type driver struct {
	name    string
	sockets bool // it comes by unix sockets, too
	try     func(attempt) (outcome, error)
}

const patience = time.Minute

// psql is libpq. It tells no SQLSTATE.
func psql(a attempt) (outcome, error) {
	mode := "disable"
	if a.TLS {
		mode = "verify-full"
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, "psql", "-XAtqw", "-c", "select current_user")
	cmd.Env = append(os.Environ(), "PGHOST="+a.Host, fmt.Sprint("PGPORT=", a.Port), "PGUSER="+a.User, "PGDATABASE="+a.Database, "PGPASSWORD="+a.Password, "PGSSLMODE="+mode,
		"PGSSLROOTCERT="+a.CA, "PGSSLCERT="+a.Cert, "PGSSLKEY="+a.Key, "PGGSSENCMODE=disable", "PGPASSFILE=/nonexistent", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err == nil {
		return outcome{User: text}, nil
	}
	if _, said, ok := strings.Cut(text, "FATAL:  "); ok {
		text = said
	}
	return outcome{Message: text}, nil
}

// pgx is the driver of most programs in Go.
func pgx(a attempt) (outcome, error) {
	dsn := fmt.Sprintf("host='%s' port=%d dbname='%s' sslmode=disable", a.Host, a.Port, a.Database)
	if a.TLS {
		dsn = strings.Replace(dsn, "disable", "verify-full sslrootcert='"+a.CA+"'", 1)
		if a.Cert != "" {
			dsn += " sslcert='" + a.Cert + "' sslkey='" + a.Key + "'"
		}
	}
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return outcome{}, err
	}
	cfg.User, cfg.Password = a.User, a.Password
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	c, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		var said *pgconn.PgError
		if errors.As(err, &said) {
			return outcome{Code: said.Code, Message: said.Message}, nil
		}
		return outcome{Message: err.Error()}, nil
	}
	defer func() { _ = c.Close(ctx) }()
	r, err := c.Exec(ctx, "select current_user").ReadAll()
	if err != nil {
		return outcome{}, err
	}
	return outcome{User: string(r[0].Rows[0][0])}, nil
}

// program is a driver that is asked by lines.
type program struct {
	mu  sync.Mutex // held while it is asked
	in  io.Writer
	out *bufio.Reader
}

// start starts a program that answers a line for each line, until the test ends.
func start(t *testing.T, dir, name string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	return &program{in: in, out: bufio.NewReader(out)}
}

func (p *program) ask(line string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return "", err
	}
	answer, err := p.out.ReadString('\n')
	return strings.TrimRight(answer, "\n"), err
}

// node is node-postgres; its module is in a directory.
func node(t *testing.T, modules string) func(attempt) (outcome, error) {
	script, err := os.ReadFile("testdata/door.js")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, modules, "node", "-e", string(script))
	return func(a attempt) (o outcome, err error) {
		line, err := json.Marshal(a)
		if err != nil {
			return o, err
		}
		answer, err := p.ask(string(line))
		if err != nil {
			return o, err
		}
		return o, json.Unmarshal([]byte(answer), &o)
	}
}

// jdbc is pgjdbc, in a jar.
func jdbc(t *testing.T, jar string) func(attempt) (outcome, error) {
	p := start(t, "testdata", "java", "-cp", jar, "Door.java")
	return func(a attempt) (outcome, error) {
		key := a.Key
		if key != "" {
			key += ".pk8" // the form that it reads
		}
		if !a.TLS {
			a.CA = ""
		}
		answer, err := p.ask(strings.Join([]string{a.Host, fmt.Sprint(a.Port), a.Database, a.User, a.Password, a.CA, a.Cert, key}, "\t"))
		if err != nil {
			return outcome{}, err
		}
		f := strings.SplitN(answer, "\t", 3)
		if len(f) != 3 {
			return outcome{}, fmt.Errorf("pgjdbc says %q", answer)
		}
		return outcome{User: f[0], Code: f[1], Message: strings.TrimPrefix(f[2], "FATAL: ")}, nil
	}
}
