//go:build pg

package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// portOf is the port of an address.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// tool is a program of PostgreSQL's: the server's own, or one in PATH or of a package.
func tool(t *testing.T, name string) string {
	t.Helper()
	bin, err := pgtest.FindBinaries("")
	if err != nil {
		t.Fatal(err)
	}
	postgres, err := filepath.EvalSymlinks(filepath.Join(bin, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if path := filepath.Join(filepath.Dir(postgres), name); exec.Command(path, "--version").Run() == nil {
		return path
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		t.Fatalf("%s is neither beside the server programs nor in PATH: install PostgreSQL's client programs", name)
	}
	return found[len(found)-1]
}

// output is what a program has printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// background starts a program that runs until it is interrupted; the test's end kills it. wait interrupts it and waits.
func background(t *testing.T, name string, args ...string) (out *output, wait func() error) {
	t.Helper()
	out = &output{}
	ctx, kill := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, tool(t, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		kill()
		<-exited
	})
	return out, func() error {
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case err := <-exited:
			exited <- err
			return err
		case <-time.After(patience):
			return errors.New("it does not end when it is interrupted")
		}
	}
}

// TestBaseBackupByTool copies a whole server through the guard, in two connections at once, and checks every file of it. The
// write-ahead log can be checked only by programs of the server's own version.
func TestBaseBackupByTool(t *testing.T) {
	c, g := replicated(t, nil)
	if err := c.Exec(t.Context(), "create table big as select repeat(md5(i::text), 20) from generate_series(1, 20000) i"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "backup")
	before := g.Stats().Bytes["out"]
	out, err := exec.CommandContext(t.Context(), tool(t, "pg_basebackup"), "-h", "127.0.0.1", "-p", portOf(t, g.addr),
		"-U", "postgres", "-D", dir, "-X", "stream", "-c", "fast", "--no-sync").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), tool(t, "pg_verifybackup"), "-n", dir).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := g.Stats().Bytes["out"] - before; n < 12<<20 {
		t.Errorf("%d bytes counted, want more than the table's 12 MiB", n)
	}
}

// TestReceiveWALByTool has the write-ahead log streamed into files, which are those of the server byte by byte.
func TestReceiveWALByTool(t *testing.T) {
	c, g := replicated(t, nil)
	admin := direct(t, c)
	dir := t.TempDir()
	out, stop := background(t, "pg_receivewal", "-h", "127.0.0.1", "-p", portOf(t, g.addr), "-U", "postgres", "-D", dir, "--no-loop", "-v")
	eventually(t, "streaming", func() bool { return strings.Contains(out.String(), "starting log streaming") })
	segment := admin.one(t, "select pg_walfile_name(pg_current_wal_lsn())")
	admin.want(t, admin.query, "create table written as select 1; select pg_switch_wal()", "", 'I')
	admin.want(t, admin.query, "create table next as select 1", "", 'I') // the stream says that a segment is over with the next
	eventually(t, "a whole segment", func() bool {
		_, err := os.Stat(filepath.Join(dir, segment))
		return err == nil
	})
	want, err := os.ReadFile(filepath.Join(c.DataDir(), "pg_wal", segment))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, segment))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("segment %s differs from the server's (%v)", segment, err)
	}
	if err := stop(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReceiveChangesByTool decodes changes through the guard, across a loss of the server connection.
func TestReceiveChangesByTool(t *testing.T) {
	c, g := replicated(t, nil)
	admin := direct(t, c)
	admin.want(t, admin.query, "create table watched (v text)", "", 'I')
	admin.want(t, admin.query, "create publication p for table watched", "", 'I')
	args := []string{"-h", "127.0.0.1", "-p", portOf(t, g.addr), "-U", "postgres", "-d", "postgres", "-S", "slot", "-P", "pgoutput"}
	if text, err := exec.CommandContext(t.Context(), tool(t, "pg_recvlogical"), append(args, "--create-slot")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	out, stop := background(t, "pg_recvlogical", append(args, "--start", "-f", "-", "-o", "proto_version=1", "-o", "publication_names=p", "-s", "1")...)
	for _, text := range []string{"one", "two"} {
		admin.want(t, admin.query, "insert into watched values ('change "+text+"')", "", 'I')
		eventually(t, text, func() bool { return strings.Contains(out.String(), "change "+text) })
		if text == "one" {
			admin.want(t, admin.query, "select pg_terminate_backend(active_pid) from pg_replication_slots", "", 'I')
			eventually(t, "told", func() bool { return strings.Contains(out.String(), "administrator command") })
		}
	}
	if err := stop(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
