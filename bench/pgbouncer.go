package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"pgguard/bench/load"
	"pgguard/proxy/pgtest"
)

// pgbouncerINI is PgBouncer as its users run it: defaults, transaction pooling, room for all clients of the scenarios.
// ignore_startup_parameters is what every guide for Rails sets.
const pgbouncerINI = `[databases]
* = host=%s port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = 5100
ignore_startup_parameters = extra_float_digits
`

// defaultPool is PgBouncer's own default, and what its users run.
const defaultPool = 20

// pgbouncerPrepared is the default since 1.24, said for those since 1.21, which need it said.
const pgbouncerPrepared = "max_prepared_statements = 200\n"

// startPgBouncer runs pgbouncer, found by findPgBouncer when path is empty, on a free port until stop, in a directory of
// its own.
func startPgBouncer(ctx context.Context, path, serverURL string, w wish, log io.Writer) (live, error) {
	path, err := findPgBouncer(path)
	if err != nil {
		return live{}, err
	}
	ini := pgbouncerINI
	if pgbouncerPrepares(programVersion(ctx, path, "--version")) {
		ini += pgbouncerPrepared
	}
	if w.queueWait > 0 {
		ini += fmt.Sprintf("query_wait_timeout = %d\n", w.queueWait)
	}
	pool := w.servers
	if pool == 0 {
		pool = defaultPool
	}
	cfg, err := load.ParseURL(serverURL, "")
	if err != nil {
		return live{}, err
	}
	as, err := plainUser()
	if err != nil {
		return live{}, err
	}
	dir, err := os.MkdirTemp("", "pgguard-bench-")
	if err != nil {
		return live{}, fmt.Errorf("make a directory for pgbouncer: %w", err)
	}
	address, err := pgtest.FreeAddress()
	if err != nil {
		os.RemoveAll(dir)
		return live{}, err
	}
	_, port, _ := net.SplitHostPort(address) // FreeAddress returns host and port
	users := filepath.Join(dir, "users.txt")
	accounts := quoted(cfg.User) + " " + quoted(cfg.Password) + "\n"
	for _, name := range w.users {
		accounts += quoted(name) + ` ""` + "\n"
	}
	for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
		accounts += quoted(name) + " " + quoted(w.secrets[name]) + "\n"
	}
	if w.secrets != nil {
		ini = strings.Replace(ini, "auth_type = trust", "auth_type = scram-sha-256", 1)
	}
	files := map[string]string{
		users:                               accounts,
		filepath.Join(dir, "pgbouncer.ini"): fmt.Sprintf(ini, cfg.Host, cfg.Port, port, users, pool),
	}
	if err := writeOwned(dir, files, as); err != nil {
		os.RemoveAll(dir)
		return live{}, err
	}
	c, err := startChild(log, path, []string{filepath.Join(dir, "pgbouncer.ini")}, nil, as)
	if err != nil {
		os.RemoveAll(dir)
		return live{}, err
	}
	stop := func() {
		c.stop()
		os.RemoveAll(dir)
	}
	proxied := through(serverURL, address)
	if err := waitFor(ctx, c, func() error { return loginReady(ctx, w.as(proxied)) }); err != nil {
		stop()
		return live{}, fmt.Errorf("wait for pgbouncer: %w", err)
	}
	return live{url: proxied, pids: []int{c.pid()}, stop: stop}, nil
}

// pgbouncerPrepares reports whether a version like "PgBouncer 1.25.2" has prepared statements in transaction mode.
func pgbouncerPrepares(version string) bool {
	var major, minor int
	_, err := fmt.Sscanf(version, "PgBouncer %d.%d", &major, &minor)
	return err == nil && (major > 1 || minor >= 21)
}

// findPgBouncer returns the path when it names a program; when it is empty it looks in PATH and where Debian puts it, which
// is not in everybody's PATH.
func findPgBouncer(path string) (string, error) {
	if path != "" {
		path, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("find pgbouncer: %w", err)
		}
		return filepath.Abs(path)
	}
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("/usr/sbin/pgbouncer"); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("pgbouncer is not installed: apt-get install pgbouncer, or brew install pgbouncer")
}

// plainUser returns whom to run as: nil for ourselves, or postgres or nobody when we are root, which pgbouncer refuses.
func plainUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("run pgbouncer: it refuses root, and there is no user postgres or nobody")
}

// writeOwned writes the files, readable by their owner only, and gives them and the directory to as.
func writeOwned(dir string, files map[string]string, as *syscall.Credential) error {
	paths := []string{dir}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write pgbouncer's files: %w", err)
		}
		paths = append(paths, path)
	}
	if as == nil {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, int(as.Uid), int(as.Gid)); err != nil {
			return fmt.Errorf("hand over pgbouncer's files: %w", err)
		}
	}
	return nil
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
