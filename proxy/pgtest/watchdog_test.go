package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

func TestClusterDiesWithItsParent(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	tmp := openDir(t)
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		cmd, out := runChild(t, tmp, cache)
		dir, pid := started(t, out)
		if filepath.Dir(dir) != tmp || missing(dir) || !alive(pid) {
			t.Fatalf("cluster of process %d in %s", pid, dir)
		}
		// The whole process group, as the terminal does for Ctrl-C.
		if err := syscall.Kill(-cmd.Process.Pid, sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		eventually(t, fmt.Sprintf("PostgreSQL has ended after %v", sig), func() bool { return !alive(pid) })
		eventually(t, fmt.Sprintf("the directory is gone after %v", sig), func() bool { return missing(dir) })
	}
}

func TestStopWorksWithoutItsWatchdog(t *testing.T) {
	c := New(t, Options{})
	pid := c.proc.pid()
	if err := c.watchdog.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) || !missing(c.dir) {
		t.Errorf("process alive: %v; %s gone: %v", alive(pid), c.dir, missing(c.dir))
	}
}

// TestTemplateSurvivesAKilledMaker kills a process while it makes the template, leaves a half-made one, and lets
// several processes ask for it at the same time.
func TestTemplateSurvivesAKilledMaker(t *testing.T) {
	tmp, cache := openDir(t), ownCache(t)
	cmd, _ := runChild(t, tmp, cache)
	eventually(t, "initdb is at work", func() bool {
		return len(matches(t, tmp, "pgguard-pg-*", "initdb", "base")) > 0
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the killed maker's directory is gone", func() bool { return len(matches(t, tmp, "*")) == 0 })
	locks := matches(t, cache, "*", "*.lock")
	if len(locks) == 0 {
		locks = matches(t, cache, "*", "*", "*.lock") // macOS has Library/Caches in between
	}
	if len(locks) != 1 {
		t.Fatalf("locks %v", locks)
	}
	final := locks[0][:len(locks[0])-len(".lock")]
	if !missing(final) {
		t.Fatalf("the killed maker left a template at %s", final)
	}
	if err := os.MkdirAll(final+".building/base", 0o700); err != nil {
		t.Fatal(err)
	}

	var pids []int
	children := make(chan int)
	var readers sync.WaitGroup
	for range 2 {
		_, out := runChild(t, tmp, cache)
		readers.Go(func() {
			_, pid := started(t, out)
			children <- pid
		})
	}
	c := New(t, Options{})
	for range 2 {
		pids = append(pids, <-children)
	}
	readers.Wait()
	if missing(final+"/PG_VERSION") || !missing(final+".building") {
		t.Errorf("template: %v", matches(t, final+"*"))
	}
	for _, pid := range append(pids, c.proc.pid()) {
		if !alive(pid) {
			t.Errorf("process %d has ended", pid)
		}
	}
}

func TestCacheRefusesADirectoryOfSomebodyElse(t *testing.T) {
	dir := t.TempDir() + "/cache"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := usable(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	wantError(t, usable(dir), "not a directory of this user's own")
	link := t.TempDir() + "/link"
	if err := os.Symlink("/usr", link); err != nil {
		t.Fatal(err)
	}
	wantError(t, usable(link), "not a directory of this user's own")
}

func TestSocketDirectoryFitsAnAddressWhateverTheTemporaryDirectory(t *testing.T) {
	long := filepath.Join(openDir(t), "a-directory-with-a-name-that-is-much-too-long-for-the-address-of-a-socket-in-it")
	if err := os.Mkdir(long, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, tmp := range []string{long, t.TempDir()} { // too long; not open to other users
		t.Setenv("TMPDIR", tmp)
		a, err := findAccount()
		if err != nil {
			t.Fatal(err)
		}
		dir, err := makeDir(a)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.Remove(dir) }()
		if len(dir) > longestDir || a.other && !openToAll(filepath.Dir(dir)) {
			t.Errorf("made %s", dir)
		}
		if tmp == long && len(matches(t, long, "*")) > 0 {
			t.Errorf("left something in %s", long)
		}
	}
}
