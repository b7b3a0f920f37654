package instance

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// logged is a log that a test reads while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// watched runs an instance at addr until the test ends; nobody asks its pool for anything.
func watched(t *testing.T, addr, password string) (*Instance, *logged) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	cfg := Config{
		Pool: pool.Default(), Log: slog.New(slog.NewTextHandler(log, nil)), Events: event.New(event.Size),
		Reap: func(*Instance, time.Time) {},
	}
	in := New(cfg, upstream.Upstream{
		Host: host, Port: n, User: "app", Password: password, ConnectTimeout: time.Second, Passfile: t.TempDir() + "/none",
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { in.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended; _ = in.Pool.Close(context.Background()) })
	return in, log
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// TestSideChannelBacksOff: a server that cannot be reached is tried a few times a second at most, however often somebody asks for a
// look, and each try is counted.
func TestSideChannelBacksOff(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	start := time.Now()
	in, _ := watched(t, closed, "")
	const tries = 4 // behind pauses of 125 ms, 250 ms and 500 ms at least
	eventually(t, "four tries", func() bool { in.Wake(); return in.Stats().Logins["failed"] >= tries })
	if took := time.Since(start); took < 800*time.Millisecond {
		t.Errorf("%d tries took %s", tries, took)
	}
	if err := in.Ready(); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("ready: %v", err)
	}
	if last := pause(1000); last > pauseLast || last < pauseLast/2 {
		t.Errorf("the longest pause is %s", last)
	}
}

// TestSideChannelAllocatesNothingThatIsOnlyAnnounced: whatever length a server announces in answer to the side channel, that is closed, and
// another tried.
func TestSideChannelAllocatesNothingThatIsOnlyAnnounced(t *testing.T) {
	for _, typ := range "TDCESNZA!" {
		for _, length := range []uint32{0, 3, maxSideMessage + 1, 1 << 30, 1<<32 - 1} {
			head := binary.BigEndian.AppendUint32([]byte{byte(typ)}, length)
			fake := pgtest.NewFake(t, pgtest.AcceptLogin(nil), pgtest.Expect('Q', ""), pgtest.SendBytes(head), pgtest.WaitEOF())
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, log := watched(t, fake.Addr(), "")
			eventually(t, "a side channel that does not work", func() bool { return strings.Contains(log.String(), "does not work") })
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%q of %d: %d bytes were allocated", typ, length, n)
			}
		}
	}
}

// TestSideChannelEndsAFlood: a server that answers without an end, in messages of a length that may be, is closed.
func TestSideChannelEndsAFlood(t *testing.T) {
	long := strings.Repeat("x", 500<<10)
	for name, one := range map[string][]byte{
		"notices":       wire.AppendMessage(nil, wire.NoticeResponse, []byte("SNOTICE\x00C00000\x00M"+long+"\x00\x00")),
		"settings":      wire.AppendText(nil, wire.ParameterStatus, "TimeZone", long),
		"notifications": wire.AppendMessage(nil, wire.NotificationResponse, []byte("\x00\x00\x00\x01channel\x00"+long+"\x00")),
	} {
		t.Run(name, func(t *testing.T) {
			fake := pgtest.NewFake(t, pgtest.AcceptLogin(nil), pgtest.Expect('Q', ""), pgtest.Flood(one))
			_, log := watched(t, fake.Addr(), "")
			eventually(t, "the flood is ended", func() bool { return strings.Contains(log.String(), "it says too much") })
		})
	}
}

// TestSideChannelIsBoundedByConnectTimeout: a server that never comes to the end of a login holds it no longer than that.
func TestSideChannelIsBoundedByConnectTimeout(t *testing.T) {
	notice := wire.AppendMessage(nil, wire.NoticeResponse, []byte("SWARNING\x00C01000\x00Mwait\x00\x00"))
	fake := pgtest.NewFake(t, pgtest.RefuseVersions(""), pgtest.Trickle(notice, 20*time.Millisecond))
	start := time.Now()
	in, _ := watched(t, fake.Addr(), "")
	eventually(t, "a login that failed", func() bool { return in.Stats().Logins["failed"] > 0 })
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s, connect_timeout is 1s", took)
	}
}

// TestLogSaysWhosePasswordIsMissing: the operator reads which user has no password, or a wrong one, and where to put it; /readyz what
// PostgreSQL said. Neither shows a password.
func TestLogSaysWhosePasswordIsMissing(t *testing.T) {
	for name, password := range map[string]string{"none": "", "wrong": "hunter2"} {
		t.Run(name, func(t *testing.T) {
			fake := pgtest.NewFake(t, pgtest.RefuseVersions(""), pgtest.AcceptSCRAM("correct"))
			in, log := watched(t, fake.Addr(), password)
			eventually(t, "a login that failed", func() bool { return in.Stats().Logins["failed"] > 0 })
			eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "advice=") })
			for _, want := range []string{"28P01", "user=app", "PGGUARD_UPSTREAM", "passfile"} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log does not say %s: %s", want, log)
				}
			}
			if strings.Contains(log.String(), "hunter2") {
				t.Errorf("the log shows the password: %s", log)
			}
			if err := in.Ready(); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

// TestWhoWaitsElsewhereTakesNothing: a statement of somebody else's that sleeps, or waits for a lock or its client, does not take the server from anybody.
func TestWhoWaitsElsewhereTakesNothing(t *testing.T) {
	var n count
	var s Seen
	for i, waits := range []string{"", "IO", "LWLock", "IPC", "Lock", "Client", "Timeout"} {
		n.other(&s, waits, "report", "10.0.0.9", int32(i+1))
	}
	n.other(&s, "Client", sideName+" 3/2", "10.0.0.8", 9)
	if s.Foreign != 4 || n.most().Count != 4 || s.Peers != 2 || n.guards != 4 {
		t.Errorf("%d statements, %d of %q, %d of %d of guards", s.Foreign, n.most().Count, n.most().Application, s.Peers, n.guards)
	}
}

// TestPasswordThatCannotBeHadIsAnEvent: which names the setting, and has nothing of what the program says.
func TestPasswordThatCannotBeHadIsAnEvent(t *testing.T) {
	in := New(Config{
		Pool: pool.Default(), Log: slog.New(slog.DiscardHandler), Events: event.New(event.Size), Source: auth.NewSource("", []string{"/bin/sh", "-c", "echo secret >&2; exit 1"}, time.Minute),
		Reap: func(*Instance, time.Time) {},
	}, upstream.Upstream{Host: "127.0.0.1", Port: 1, User: "app", ConnectTimeout: time.Second, Passfile: t.TempDir() + "/none"})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { in.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended; _ = in.Pool.Close(context.Background()) })
	eventually(t, "told", func() bool {
		all, _ := in.cfg().Events.Since(0, nil)
		for _, e := range all {
			if e.Kind == event.Secret {
				if said := fmt.Sprint(e); e.Cause != "command" || strings.Contains(said, "exit") {
					t.Errorf("got %s", said)
				}
				return true
			}
		}
		return false
	})
}
