//go:build pg

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/proxy/pgtest"
)

// upgraded is a line of processes, each of which takes the place of the one before. All write to one log.
type upgraded struct {
	t     *testing.T
	ctx   context.Context // of the clients; ends with the test, or in three minutes
	env   []string
	args  []string
	addr  string
	dir   string // of a unix socket
	first *exec.Cmd
	log   *os.File
	lines chan string // of the log
}

// serveUpgradable starts a guard in front of a cluster, with this configuration added, and returns when it serves.
func serveUpgradable(t *testing.T, c *pgtest.Cluster, extra string) *upgraded {
	t.Helper()
	u := newUpgraded(t, c)
	u.serve("-c", "pgguard.yaml", fmt.Sprintf("listen: [%q, %q]\nhttp: off\n%s", u.addr, "unix:"+u.dir, extra))
	return u
}

// newUpgraded is one that has not started.
func newUpgraded(t *testing.T, c *pgtest.Cluster) *upgraded {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(stop)
	log, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	u := &upgraded{t: t, ctx: ctx, addr: unusedAddr(t), dir: t.TempDir(), log: w, lines: make(chan string, 100_000)}
	u.env = append(os.Environ(), asPgguard+"=1", "PGGUARD_UPSTREAM="+c.URL("postgres"), "XDG_CACHE_HOME="+t.TempDir())
	go func() { // ends when all processes have, and the test
		for s := bufio.NewScanner(log); s.Scan(); {
			u.lines <- s.Text()
		}
	}()
	return u
}

// serve starts the first, with a configuration that this flag is for, and returns when it serves.
func (u *upgraded) serve(flag, name, config string) {
	u.t.Helper()
	file := filepath.Join(u.t.TempDir(), name)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		u.t.Fatal(err)
	}
	u.args = []string{"serve", flag, file}
	u.first = u.start()
	u.await(`(msg=|LOG )serving`)
}

// start starts a process.
func (u *upgraded) start(more ...string) *exec.Cmd {
	u.t.Helper()
	cmd := exec.Command(os.Args[0], append(u.args, more...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = u.env, u.log, u.log
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test has not ended it
	return cmd
}

// call is a client, to the end of the test.
func (u *upgraded) call() *pgx.Conn {
	u.t.Helper()
	conn, err := pgx.Connect(u.ctx, "postgres://postgres@"+u.addr+"/postgres?sslmode=disable")
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { _ = conn.Close(u.ctx) })
	return conn
}

// firstEnds waits for the first process, which has nothing to complain of.
func (u *upgraded) firstEnds() {
	u.t.Helper()
	if err := u.first.Wait(); err != nil {
		u.t.Errorf("the first process ends with %v", err)
	}
}

// await returns the first part of the log that matches, and logs what comes before it.
func (u *upgraded) await(pattern string) []string {
	u.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(time.Minute)
	for {
		select {
		case line := <-u.lines:
			if found := re.FindStringSubmatch(line); found != nil {
				return found
			}
		case <-limit:
			u.t.Fatalf("%s is not logged", pattern)
		}
	}
}

// upgrade has the process of this number replaced, and returns that of the next.
func (u *upgraded) upgrade(pid int) (next int) {
	u.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		u.t.Fatal(err)
	}
	next, err := strconv.Atoi(u.await(`another process takes over" pid=(\d+)`)[1])
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { _ = syscall.Kill(next, syscall.SIGKILL) })
	u.await(`msg="taken over"`)
	return next
}

func unusedAddr(t *testing.T) string {
	t.Helper()
	addr, err := pgtest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// patientClasses has nobody shed because the machine of the test is slow.
const patientClasses = "classes: [{name: all, max_wait: 2m, max_queue: 1000, interactive: false}]\n"

// upgradeClients is how many clients there are; PGGUARD_UPGRADE_CLIENTS is another number.
const upgradeClients = 30

// TestUpgradeCostsNobodyAnything: while clients of every kind are busy the program is replaced twice in a row; no connection is refused, none is lost, no
// statement fails, and what was committed is there once.
func TestUpgradeCostsNobodyAnything(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	clients := upgradeClients
	if text := os.Getenv("PGGUARD_UPGRADE_CLIENTS"); text != "" {
		clients, _ = strconv.Atoi(text)
	}
	if err := c.Exec(t.Context(), fmt.Sprintf("create table counted as select id, 0 as n from generate_series(0, %d) id", clients)); err != nil {
		t.Fatal(err)
	}
	u := serveUpgradable(t, c, patientClasses)
	ctx := u.ctx
	l := &upgradeLoad{addr: u.addr, commits: make([]atomic.Int64, clients)}
	l.all.Go(func() { l.newcomers(ctx) })
	for id := range clients {
		l.all.Go(func() { l.client(ctx, id) })
	}
	pid := u.first.Process.Pid
	for range 2 {
		l.more(int64(4 * clients))
		pid = u.upgrade(pid)
	}
	l.more(int64(4 * clients))
	u.firstEnds()
	l.over.Store(true)
	l.all.Wait()
	if err := l.failed(); err != nil {
		t.Error(err)
	}
	t.Logf("%d clients, %d connections, %d transactions, the longest stall %s", clients, l.came.Load(), l.done.Load(), time.Duration(l.longest.Load()))
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for id := range clients {
		var n int64
		if err := conn.QueryRow(ctx, "select n from counted where id = $1", id).Scan(&n); err != nil || n != l.commits[id].Load() {
			t.Errorf("client %d has committed %d times, in the table are %d: %v", id, l.commits[id].Load(), n, err)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	u.await("stopped")
}

// upgradeLoad is clients of every kind.
type upgradeLoad struct {
	addr    string
	all     sync.WaitGroup
	over    atomic.Bool
	came    atomic.Int64 // connections
	done    atomic.Int64 // transactions
	longest atomic.Int64 // nanoseconds that one has taken
	commits []atomic.Int64

	mu   sync.Mutex
	errs []error // guarded by mu
}

func (l *upgradeLoad) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.errs...)
}

func (l *upgradeLoad) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
	l.over.Store(true)
}

// more returns when so many transactions more have come to their end.
func (l *upgradeLoad) more(n int64) {
	for want := l.done.Load() + n; l.done.Load() < want && !l.over.Load(); {
		time.Sleep(time.Millisecond)
	}
}

// newcomers come, ask and leave, one after the other.
func (l *upgradeLoad) newcomers(ctx context.Context) {
	for !l.over.Load() {
		if err := visit(ctx, l.addr); err != nil {
			l.fail(fmt.Errorf("a new client: %w", err))
		}
		l.came.Add(1)
	}
}

// client is one client; what it does depends on its number.
func (l *upgradeLoad) client(ctx context.Context, id int) {
	conn, err := pgx.Connect(ctx, "postgres://postgres@"+l.addr+"/postgres?sslmode=disable")
	if err != nil {
		l.fail(err)
		return
	}
	l.came.Add(1)
	defer func() { _ = conn.Close(ctx) }()
	kinds := []func(context.Context, *pgx.Conn, int) error{l.autocommit, l.transaction, l.simple, l.settings, l.pinned, l.held}
	for !l.over.Load() {
		began := time.Now()
		if err := kinds[id%len(kinds)](ctx, conn, id); err != nil {
			l.fail(fmt.Errorf("client %d: %w", id, err))
			return
		}
		took := int64(time.Since(began))
		for was := l.longest.Load(); took > was && !l.longest.CompareAndSwap(was, took); was = l.longest.Load() {
		}
		l.done.Add(1)
		time.Sleep(time.Duration(id%7) * time.Millisecond) // thinks
	}
}

// count adds one for a client; the statement is prepared once for a connection.
const count = "update counted set n = n + 1 where id = $1"

func (l *upgradeLoad) autocommit(ctx context.Context, conn *pgx.Conn, id int) error {
	_, err := conn.Exec(ctx, count, id)
	l.commits[id].Add(1)
	return err
}

func (l *upgradeLoad) transaction(ctx context.Context, conn *pgx.Conn, id int) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, count, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "select pg_sleep(0.002)")
		return err
	})
	l.commits[id].Add(1)
	return err
}

func (l *upgradeLoad) simple(ctx context.Context, conn *pgx.Conn, id int) error {
	_, err := conn.Exec(ctx, count, pgx.QueryExecModeSimpleProtocol, id)
	l.commits[id].Add(1)
	return err
}

// settings sets something in one transaction and looks in the next whether it is there.
func (l *upgradeLoad) settings(ctx context.Context, conn *pgx.Conn, id int) error {
	want := strconv.Itoa(100+int(l.done.Load()%100)) + "kB"
	if _, err := conn.Exec(ctx, "set work_mem to '"+want+"'"); err != nil {
		return err
	}
	var got string
	if err := conn.QueryRow(ctx, "show work_mem").Scan(&got); err != nil || got != want {
		return fmt.Errorf("work_mem is %q, want %q: %w", got, want, err)
	}
	return nil
}

// pinned keeps its server over some transactions, with a table that nobody else sees.
func (l *upgradeLoad) pinned(ctx context.Context, conn *pgx.Conn, id int) error {
	for _, text := range []string{"create temp table mine (n int)", "insert into mine values (1)", "select n from mine", "drop table mine"} {
		if _, err := conn.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// held holds a lock over some transactions.
func (l *upgradeLoad) held(ctx context.Context, conn *pgx.Conn, id int) error {
	var held bool
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", id).Scan(&held); err != nil || !held {
		return fmt.Errorf("lock: %t, %w", held, err)
	}
	if _, err := conn.Exec(ctx, "select 1"); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "select pg_advisory_unlock($1)", id).Scan(&held); err != nil || !held {
		return fmt.Errorf("unlock: %t, %w", held, err)
	}
	return nil
}

// TestStoppedSuccessorChangesNothing: a new process that is stopped by a signal, early or late, does not keep anybody from being served; it is ended in the end, and the next one takes over.
func TestStoppedSuccessorChangesNothing(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	u := serveUpgradable(t, c, "takeover: {timeout: 2s}\n")
	ctx, conn := u.ctx, u.call()
	if err := syscall.Kill(u.first.Process.Pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	next, _ := strconv.Atoi(u.await(`another process takes over" pid=(\d+)`)[1])
	if err := syscall.Kill(next, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		for !over.Load() {
			_, err := conn.Exec(ctx, "select 1")
			if err = errors.Join(err, visit(ctx, u.addr)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	u.await("nobody has taken over; everything is as before")
	over.Store(true)
	all.Wait()
	last := u.upgrade(u.first.Process.Pid)
	u.firstEnds()
	if _, err := conn.Exec(ctx, "select 1"); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(last, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	u.await("stopped")
}

// TestTakeoverBySocket: a process started by hand takes over; one that cannot start, or is another user's business, changes nothing.
func TestTakeoverBySocket(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	socket := filepath.Join(t.TempDir(), "takeover")
	u := serveUpgradable(t, c, fmt.Sprintf("takeover: {socket: %q, timeout: 5s}\n", socket))
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	ctx, conn := u.ctx, u.call()
	ask := func() {
		t.Helper()
		if _, err := conn.Exec(ctx, "select 1"); err != nil {
			t.Fatal(err)
		}
		for _, addr := range []string{u.addr, u.dir} {
			if err := visit(ctx, addr); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask()
	for _, wrong := range [][]string{{"--log-level", "loud"}, {"--http", "256.0.0.1:1"}, {"--upstream", "postgres://postgres@127.0.0.1:1/postgres"}} {
		if err := u.start(append([]string{"--takeover"}, wrong...)...).Wait(); err == nil {
			t.Errorf("with %v it has taken over", wrong)
		}
		ask()
	}
	next := u.start("--takeover")
	u.firstEnds()
	ask()
	if err := next.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := next.Wait(); err != nil {
		t.Errorf("the second process ends with %v", err)
	}
	left, err := filepath.Glob(u.dir + "/.s.PGSQL.*")
	if _, gone := os.Stat(socket); gone == nil || err != nil || len(left) > 0 {
		t.Errorf("sockets are left: %v, %v, %v", gone, left, err)
	}
}

// TestReboot: with PgBouncer's configuration and -R a process takes the place of the one that runs, and its pidfile. Who is idle goes to it with settings and statements; who is in a
// transaction ends that where it was.
func TestReboot(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	u := newUpgraded(t, c)
	u.env = append(u.env, "PGGUARD_HTTP=off", "PGGUARD_UPSTREAM=")
	host, port, _ := net.SplitHostPort(u.addr)
	pidfile := filepath.Join(u.dir, "pid")
	u.serve("--pgbouncer", "pgbouncer.ini", fmt.Sprintf(`[databases]
postgres = host=%s port=%d user=postgres
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir = %s
auth_type = any
pool_mode = transaction
pidfile = %s
`, c.Host(), c.Port(), host, port, u.dir, pidfile))
	holder := func() int {
		t.Helper()
		text, err := os.ReadFile(pidfile)
		pid, wrong := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || wrong != nil {
			t.Fatal(err, wrong)
		}
		return pid
	}
	idle, busy := u.call(), u.call()
	var n int
	ask := func(conn *pgx.Conn) {
		t.Helper()
		if err := conn.QueryRow(u.ctx, "select $1::int", 7).Scan(&n); err != nil || n != 7 {
			t.Fatal(n, err)
		}
	}
	if _, err := idle.Exec(u.ctx, "set work_mem to '123kB'"); err != nil {
		t.Fatal(err)
	}
	tx, err := busy.Begin(u.ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask(idle)
	ask(busy)
	if pid := holder(); pid != u.first.Process.Pid {
		t.Errorf("the pidfile says %d, want %d", pid, u.first.Process.Pid)
	}
	next := u.start("-R")
	u.await(`LOG taken over`)
	u.await(`LOG serving`)
	if pid := holder(); pid != next.Process.Pid {
		t.Errorf("the pidfile says %d, want %d", pid, next.Process.Pid)
	}
	ask(idle)
	ask(busy)
	if err := tx.Commit(u.ctx); err != nil {
		t.Error(err)
	}
	u.firstEnds()
	ask(busy)
	var mem string
	if err := idle.QueryRow(u.ctx, "show work_mem").Scan(&mem); err != nil || mem != "123kB" {
		t.Errorf("work_mem is %q: %v", mem, err)
	}
	if pid := holder(); pid != next.Process.Pid {
		t.Errorf("in the end the pidfile says %d, want %d", pid, next.Process.Pid)
	}
	if err := next.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := next.Wait(); err != nil {
		t.Errorf("the second process ends with %v", err)
	}
	if left, _ := filepath.Glob(u.dir + "/*"); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}
