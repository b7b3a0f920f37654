//go:build pg && netns

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// These tests lose packets for certain: one side is another machine as far as the kernel's network is concerned, a network namespace, and what is lost
// is dropped there without a word. They need Linux and root, and take a minute: make partition.

// asRelay, when set, makes the test binary be a relay, from the address in it to the one behind the comma; what begins with / is a unix socket.
const asRelay = "PROXY_TEST_RELAY"

func init() {
	from, to, ok := strings.Cut(os.Getenv(asRelay), ",")
	if !ok {
		return
	}
	l, err := net.Listen(networkOf(from), from)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	for {
		a, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		b, err := net.Dial(networkOf(to), to)
		if err != nil {
			_ = a.Close()
			continue
		}
		go func() { _, _ = io.Copy(a, b); _ = a.Close(); _ = b.Close() }()
		go func() { _, _ = io.Copy(b, a); _ = a.Close(); _ = b.Close() }()
	}
}

func networkOf(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// machine is a network namespace, joined to this one by a cable.
type machine struct {
	t                testing.TB
	name             string
	near, far        string // the devices
	nearAddr, inside string // the addresses
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	n := os.Getpid() % 60000
	m := &machine{t: t, name: fmt.Sprintf("pgguard%d", n), near: fmt.Sprintf("pga%d", n), far: fmt.Sprintf("pgb%d", n)}
	m.nearAddr, m.inside = fmt.Sprintf("10.%d.%d.1", 200+n>>8%50, n&255), fmt.Sprintf("10.%d.%d.2", 200+n>>8%50, n&255)
	m.ip("netns", "add", m.name)
	t.Cleanup(func() {
		_ = exec.Command("ip", "link", "del", m.near).Run()
		_ = exec.Command("ip", "netns", "del", m.name).Run()
	})
	m.ip("link", "add", m.near, "type", "veth", "peer", "name", m.far, "netns", m.name)
	m.ip("addr", "add", m.nearAddr+"/30", "dev", m.near)
	m.ip("link", "set", m.near, "up")
	m.within("addr", "add", m.inside+"/30", "dev", m.far)
	m.within("link", "set", m.far, "up")
	m.within("link", "set", "lo", "up")
	return m
}

// ip runs ip with these arguments.
func (m *machine) ip(args ...string) {
	m.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		m.t.Fatalf("ip %s: %v %s; this test needs root and network namespaces", strings.Join(args, " "), err, out)
	}
}

// within runs ip inside.
func (m *machine) within(args ...string) {
	m.t.Helper()
	m.ip(append([]string{"-n", m.name}, args...)...)
}

// relay has the machine pass connections to from on to to.
func (m *machine) relay(from, to string) {
	m.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", m.name, os.Args[0])
	cmd.Env = append(os.Environ(), asRelay+"="+from+","+to)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "listening\n" {
		m.t.Fatalf("the relay says %q %v", line, err)
	}
}

// lose drops what the machine sends to these ports from now on: who has them hears nothing more, not even that its packets arrive.
func (m *machine) lose(ports ...int) {
	m.t.Helper()
	for _, p := range ports {
		m.within("rule", "add", "to", m.nearAddr, "ipproto", "tcp", "dport", strconv.Itoa(p), "blackhole")
	}
}

// loseAll drops all that either side sends: frames go to a station that there is not.
func (m *machine) loseAll() {
	m.t.Helper()
	const nobody = "02:00:00:00:00:99"
	m.within("neigh", "replace", m.nearAddr, "lladdr", nobody, "dev", m.far, "nud", "permanent")
	m.ip("neigh", "replace", m.inside, "lladdr", nobody, "dev", m.near, "nud", "permanent")
}

// heal ends loseAll.
func (m *machine) heal() {
	m.t.Helper()
	m.within("neigh", "del", m.nearAddr, "dev", m.far)
	m.ip("neigh", "del", m.inside, "dev", m.near)
}

// serverPorts are our ends of the servers' connections.
func (g *guard) serverPorts() (ports []int) {
	for _, in := range g.allInstances() {
		in.Pool.Each(func(c pool.Conn) {
			ports = append(ports, c.(*backend).conn.Conn.LocalAddr().(*net.TCPAddr).Port)
		})
	}
	return ports
}

// away is a guard whose PostgreSQL is on another machine, with a peer timeout of 4 s.
func away(t *testing.T, servers int) (*guard, *machine, *pgtest.Cluster) {
	t.Helper()
	c := pgtest.New(t, pgtest.Options{})
	m := newMachine(t)
	addr := net.JoinHostPort(m.inside, "5432")
	m.relay(addr, c.SocketDir()+"/.s.PGSQL."+strconv.Itoa(c.Port()))
	g := newGuard(t, addr, func(cfg *Config) {
		cfg.Pool.MaxServers, cfg.PeerTimeout, cfg.Limit = servers, 4*time.Second, 50
		cfg.CancelTimeout = 2 * time.Second
	})
	g.identified(t)
	return g, m, c
}

// fill opens n servers and leaves them idle.
func fill(t *testing.T, g *guard, n int) {
	t.Helper()
	var all []*caller
	for range n {
		c := g.call(t)
		c.want(t, c.query, "BEGIN", "", 'T')
		c.want(t, c.query, "select 1", "", 'T')
		all = append(all, c)
	}
	for _, c := range all {
		c.want(t, c.query, "COMMIT", "", 'I')
		_ = c.Close()
	}
}

// TestHalfOpenServersEndInTime: what was sent to a server that is gone ends within the peer timeout, whatever it was; others are served by other
// servers meanwhile, and no idle server that is gone is lent to more than one client.
func TestHalfOpenServersEndInTime(t *testing.T) {
	g, m, _ := away(t, 20)
	fill(t, g, 8)
	holds, waits := g.call(t), g.call(t)
	holds.want(t, holds.query, "BEGIN", "", 'T')
	holds.want(t, holds.query, "select 1", "", 'T')
	_ = waits.send(simple("select pg_sleep(60)"))
	eventually(t, "it runs", func() bool { return g.Stats().Clients["active"] == 1 })
	m.lose(g.serverPorts()...)
	start := time.Now()
	writes := g.call(t)
	answers := map[string]chan answer{
		"in a transaction": holds.later("select 2"), "a write": writes.later("create table if not exists gone ()"),
	}
	running := make(chan answer, 1)
	go func() { a, _ := waits.answer(); running <- a }()
	// While these hang, others come one after the other. Two seconds later at most none of them meets a server that is gone.
	var others sync.WaitGroup
	hung := make(chan time.Duration, 100)
	for i := range 40 {
		c := g.call(t)
		others.Go(func() {
			began := time.Now()
			_, _ = c.query("select 1")
			if d := time.Since(began); d > time.Second && began.Sub(start) > suspect+lookSlack {
				hung <- d
			}
		})
		if i > 3 {
			<-time.After(100 * time.Millisecond)
		}
	}
	codes := map[string]string{"in a transaction": "08006", "a write": "08007"}
	for name, answered := range answers {
		if a := <-answered; a.code() != codes[name] {
			t.Errorf("%s: %s, want %s", name, a, codes[name])
		}
		if d := time.Since(start); d > 8*time.Second {
			t.Errorf("%s: ended after %s with a peer timeout of 4s", name, d)
		}
	}
	if a := <-running; a.code() != "08006" && a.code() != "08007" {
		t.Errorf("what ran when its server went: %s", a)
	}
	if d := time.Since(start); d > 9*time.Second {
		t.Errorf("what ran ended after %s with a peer timeout of 4s", d)
	}
	others.Wait()
	close(hung)
	for d := range hung {
		t.Errorf("a client was held up for %s by a server that is gone", d)
	}
}

// lookSlack is what the looks of every half second, and those of a retransmission, add.
const lookSlack = 1500 * time.Millisecond

// TestNetworkThatIsGone: nobody waits for ever, and when the network is back everybody is served by the same guard.
func TestNetworkThatIsGone(t *testing.T) {
	g, m, _ := away(t, 6)
	fill(t, g, 4)
	m.loseAll()
	start := time.Now()
	var clients []*caller
	var answers []chan answer
	for range 6 {
		c := g.call(t)
		clients, answers = append(clients, c), append(answers, c.later("select 1"))
	}
	for _, a := range answers {
		if got := <-a; len(got.codes) != 1 || got.fatal {
			t.Errorf("got %s, want an error that keeps the connection", got)
		}
	}
	if d := time.Since(start); d > 12*time.Second {
		t.Errorf("the last was answered after %s", d)
	}
	m.heal()
	for _, c := range clients {
		within(t, 20*time.Second, "served again", func() bool { a, err := c.query("select 1"); return err == nil && len(a.codes) == 0 })
	}
}

// TestHalfOpenClientsEndInTime: a client whose machine has gone in a transaction loses its server within the peer timeout, whether it was being
// answered or did nothing.
func TestHalfOpenClientsEndInTime(t *testing.T) {
	m := newMachine(t)
	g := newGuard(t, address(shared), func(cfg *Config) { cfg.PeerTimeout = 4 * time.Second })
	l, err := net.Listen("tcp", m.nearAddr+":0") // the guard itself listens on loopback only
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.listeners = append(g.listeners, &listener{Listener{Addr: l.Addr().String()}, l})
	g.work.Add(1)
	go g.accept(g.listeners[len(g.listeners)-1])
	g.mu.Unlock()
	path := t.TempDir() + "/client"
	m.relay(path, l.Addr().String())
	enter := func() *caller {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		c := &caller{Conn: nc, r: bufio.NewReader(nc)}
		if err := c.login(wire.Version30, []string{"user", "postgres", "database", "postgres"}); err != nil {
			t.Fatal(err)
		}
		c.want(t, c.query, "BEGIN", "", 'T')
		c.want(t, c.query, "select 1", "", 'T')
		return c
	}
	enter()
	answered := enter()
	_ = answered.send(simple("select pg_sleep(1), 'told to nobody'"))
	eventually(t, "it runs", func() bool { return g.Stats().Clients["active"] == 1 })
	m.loseAll()
	start := time.Now()
	within(t, 12*time.Second, "both are gone", func() bool { return g.pool().Servers["active"] == 0 })
	if d := time.Since(start); d < 2*time.Second {
		t.Errorf("gone after %s with a peer timeout of 4s", d)
	}
}
