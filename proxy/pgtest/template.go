package pgtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// findTemplate returns a data directory as initdb makes it, to be copied, and makes it on first use. Any number of
// processes may ask at the same time: a lock lets one of them work, and the kernel frees the lock of one that dies.
func findTemplate(ctx context.Context, c *Cluster) (string, error) {
	key, err := templateKey(c)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, key)
	if isDir(final) {
		return final, nil
	}
	unlock, err := lockFile(ctx, final+".lock")
	if err != nil {
		return "", fmt.Errorf("lock the template: %w", err)
	}
	defer unlock()
	if isDir(final) {
		return final, nil
	}
	if err := makeTemplate(ctx, c, final); err != nil {
		return "", fmt.Errorf("make the template data directory: %w", err)
	}
	return final, nil
}

// makeTemplate runs initdb in the cluster's directory, which is the account's own and has a watchdog, and puts the
// result into the cache by one rename, so that nobody sees a part of it. The lock must be held.
func makeTemplate(ctx context.Context, c *Cluster, final string) error {
	made := filepath.Join(c.dir, "initdb")
	if err := c.run(ctx, "initdb", initdbArgs(made, c.opts.Durable)...); err != nil {
		return err
	}
	building := final + ".building"
	if err := os.RemoveAll(building); err != nil { // left by one who was killed
		return err
	}
	if err := copyTree(ctx, made, building, account{}); err != nil {
		return err
	}
	if err := os.Rename(building, final); err != nil {
		return err
	}
	return os.RemoveAll(made)
}

// initdbArgs are initdb's. A small segment of the write-ahead log makes a template of 1 MiB less 16, and so the copy
// quick; a durable cluster keeps PostgreSQL's own size, which its figures depend on.
func initdbArgs(data string, durable bool) []string {
	args := []string{"-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"}
	if !durable {
		args = append(args, "--wal-segsize=1")
	}
	return args
}

// templateKey names the template after all it depends on: the programs, their version, initdb's arguments.
func templateKey(c *Cluster) (string, error) {
	out, err := exec.Command(filepath.Join(c.bin, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask postgres for its version: %w", err)
	}
	version := strings.TrimSpace(string(out))
	sum := sha256.Sum256([]byte(strings.Join(append(initdbArgs("", c.opts.Durable), version, c.bin), "\x00")))
	return fmt.Sprintf("%x", sum[:8]), nil
}

// cacheDir returns a directory of this user's own for templates: in the user's cache, or else in the system's
// temporary directory.
func cacheDir() (string, error) {
	var errs []error
	if home, err := os.UserCacheDir(); err == nil {
		dir := filepath.Join(home, "pgguard-pgtest")
		if err = usable(dir); err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("pgguard-pgtest-%d", os.Geteuid()))
	if err := usable(dir); err != nil {
		return "", fmt.Errorf("find a place for the template: %w", errors.Join(append(errs, err)...))
	}
	return dir, nil
}

// usable makes dir if need be, and returns an error unless it is ours alone and can be written to: in a directory
// for everybody, somebody else may have made it.
func usable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory of this user's own", dir)
	}
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// lockFile takes the lock that path stands for, waiting until ctx ends; unlock gives it back. The file stays.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
