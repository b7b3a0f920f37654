//go:build pg

package proxy

import (
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgguard/proxy/wire"
)

// greeting logs in with these parameters and returns what was said, settings sorted; the order of settings means nothing.
func greeting(t *testing.T, addr string, version uint32, params ...string) []string {
	t.Helper()
	p := dial(t, addr)
	p.write(startup(version, params...))
	p.read("Z")
	out := p.lines()
	out = slices.DeleteFunc(out, func(l string) bool { return l[0] == 'N' }) // that a long name was cut
	sort.SliceStable(out, func(i, j int) bool { return out[i][0] == 'S' && out[j][0] == 'S' && out[i] < out[j] })
	if !p.over {
		p.leave()
	}
	return out
}

func TestLoginSaysWhatTheServerSays(t *testing.T) {
	g := narrow(t, 2, nil)
	user := []string{"user", "postgres", "database", "postgres"}
	for name, params := range map[string][]string{
		"plain":               nil,
		"encoding":            {"client_encoding", "LATIN1"},
		"encoding, spelling":  {"client_encoding", "latin-1"},
		"date style":          {"DateStyle", "SQL, DMY"},
		"time zone":           {"TimeZone", "Asia/Tokyo"},
		"time zone, case":     {"timezone", "asia/tokyo"},
		"application":         {"application_name", "an application"},
		"application, long":   {"application_name", strings.Repeat("long ", 30)},
		"application, bytes":  {"application_name", "gr\u00fc\u00dfe\ttab"},
		"application, option": {"options", "-c application_name=other"},
		"options":             {"options", "-c DateStyle=German -c TimeZone=UTC"},
		"options, glued":      {"options", "-cTimeZone=UTC --DateStyle=German"},
		"options, dashes":     {"options", "--client-encoding=LATIN1"},
		"options, unreported": {"options", "-c work_mem=5MB"},
		"options, spaces":     {"options", `  -c   application_name=with\ space\\s  `},
		"both":                {"TimeZone", "UTC", "options", "-c TimeZone=Asia/Tokyo"},
		"both, other order":   {"options", "-c TimeZone=Asia/Tokyo", "TimeZone", "UTC"},
		"interval style":      {"IntervalStyle", "iso_8601"},
		"strings":             {"standard_conforming_strings", "off"},
		"float digits":        {"extra_float_digits", "3"},
		"empty options":       {"options", ""},
		"replication off":     {"replication", "false"},
	} {
		t.Run(name, func(t *testing.T) {
			params := append(append([]string(nil), user...), params...)
			compare(t, greeting(t, address(shared), wire.Version30, params...), greeting(t, g.addr, wire.Version30, params...))
		})
	}
}

func TestRefusedLoginSaysWhatTheServerSays(t *testing.T) {
	g := narrow(t, 2, nil)
	for name, params := range map[string][]string{
		"unknown database": {"user", "postgres", "database", "nowhere"},
		"unknown user":     {"user", "nobody knows", "database", "postgres"},
		"no database":      {"user", "nobody"},
		"unknown option":   {"user", "postgres", "database", "postgres", "options", "-c nothing.like=it -c time-zone=UTC"},
		"unknown setting":  {"user", "postgres", "database", "postgres", "no_such_setting", "1"},
		"wrong value":      {"user", "postgres", "database", "postgres", "TimeZone", "Nowhere/Land"},
		"wrong encoding":   {"user", "postgres", "database", "postgres", "client_encoding", "nonsense"},
		"no user":          {"database", "postgres"},
		"empty user":       {"user", "", "database", "postgres"},
		"nothing":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			want := greeting(t, address(shared), wire.Version30, params...)
			if want[0][0] == 'R' {
				want = want[1:] // the server lets a client in before it looks at its settings
			}
			for range 2 { // the second time the guard remembers
				compare(t, want, greeting(t, g.addr, wire.Version30, params...))
			}
			q, _ := enter(t, g.addr)
			q.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
		})
	}
}

// code is severity and SQLSTATE of an error's line.
func code(line string) string {
	f := strings.Fields(line)
	if len(f) < 4 {
		return line
	}
	return strings.Join(f[:4], " ")
}

func TestProtocolVersions(t *testing.T) {
	g := narrow(t, 1, nil)
	user := []string{"user", "postgres", "database", "postgres"}
	negotiate := func(version uint32, options ...string) string {
		body := binary.BigEndian.AppendUint32(nil, version)
		body = binary.BigEndian.AppendUint32(body, uint32(len(options)))
		for _, o := range options {
			body = append(append(body, o...), 0)
		}
		return (&speaker{}).line(wire.NegotiateVersion, body)
	}
	for _, c := range []struct {
		name    string
		version uint32
		params  []string
		first   string
		key     int
	}{
		{"3.0", wire.Version30, nil, "", 4},
		{"3.2", wire.Version32, nil, "", keySize},
		{"3.9999", 3<<16 | 9999, nil, negotiate(wire.Version32), keySize},
		{"option", wire.Version30, []string{"_pq_.what", "1"}, negotiate(wire.Version30, "_pq_.what"), 4},
		{"options", 3<<16 | 9999, []string{"_pq_.a", "1", "_pq_.b", "2"}, negotiate(wire.Version32, "_pq_.a", "_pq_.b"), keySize},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, g.addr)
			p.write(startup(c.version, append(append([]string(nil), user...), c.params...)...))
			p.read("Z")
			lines := p.lines()
			if c.first != "" {
				if lines[0] != c.first {
					t.Errorf("got %s, want %s", lines[0], c.first)
				}
				lines = lines[1:]
			}
			if lines[0][0] != 'R' {
				t.Errorf("got %s, want AuthenticationOk", lines[0])
			}
			if len(p.key) != c.key {
				t.Errorf("a key of %d bytes, want %d", len(p.key), c.key)
			}
			p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
			p.leave()
		})
	}
}

// Whatever a stranger sends, it is told so or closed, and nobody else notices.
func TestAbsurdFirstPackets(t *testing.T) {
	g := narrow(t, 1, nil)
	neighbour, _ := enter(t, g.addr)
	number := func(n ...uint32) (out []byte) {
		for _, v := range n {
			out = binary.BigEndian.AppendUint32(out, v)
		}
		return out
	}
	user := string(startup(wire.Version30, "user", "postgres", "database", "postgres")[8:])
	for name, c := range map[string]struct {
		send []byte
		want string // severity and SQLSTATE, or "closed"
	}{
		"protocol 1.0":       {number(8, 1<<16), "E SFATAL VFATAL C0A000"},
		"protocol 2.0":       {append(number(296, 2<<16), make([]byte, 288)...), "E SFATAL VFATAL C0A000"},
		"protocol 4.0":       {append(number(uint32(8+len(user)), 4<<16), user...), "E SFATAL VFATAL C0A000"},
		"length 0":           {number(0, wire.Version30), "E SFATAL VFATAL C08P01"},
		"length 7":           {number(7, wire.Version30), "E SFATAL VFATAL C08P01"},
		"length 2^31":        {number(1<<31, wire.Version30), "E SFATAL VFATAL C08P01"},
		"length 10001":       {number(10001, wire.Version30), "E SFATAL VFATAL C08P01"},
		"no terminator":      {append(number(12, wire.Version30), "user"...), "E SFATAL VFATAL C08P01"},
		"half a pair":        {append(number(14, wire.Version30), "user\x00\x00"...), "E SFATAL VFATAL C08P01"},
		"after the end":      {append(number(10, wire.Version30), 0, 1), "E SFATAL VFATAL C08P01"},
		"http":               {[]byte("GET / HTTP/1.1\r\n\r\n"), "E SFATAL VFATAL C08P01"},
		"tls at once":        {[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "E SFATAL VFATAL C08P01"},
		"zeros":              {make([]byte, 64), "E SFATAL VFATAL C08P01"},
		"unknown class":      {startup(wire.Version30, "user", "postgres", "options", "-c guard.class=none"), "E SFATAL VFATAL C08P01"},
		"odd options":        {startup(wire.Version30, "user", "postgres", "options", "-d 5"), "E SFATAL VFATAL C08P01"},
		"cancel, short":      {number(12, 1234<<16|5678, 1), "E SFATAL VFATAL C08P01"},
		"cancel, wrong":      {number(16, 1234<<16|5678, 1, 1), "closed"},
		"cancel, endless":    {append(number(16+500, 1234<<16|5678, 1), make([]byte, 504)...), "E SFATAL VFATAL C08P01"},
		"encryption, thrice": {number(8, 1234<<16|5679, 8, 1234<<16|5680, 8, 1234<<16|5679, 8, 1234<<16|5680), "NNN"},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, g.addr)
			p.write(c.send)
			if c.want == "NNN" {
				b := make([]byte, 3)
				if n, err := p.r.Read(b[:1]); n != 1 || err != nil || b[0] != 'N' {
					t.Errorf("got %q, %v", b, err)
				}
				_ = p.nc.Close()
				return
			}
			p.read("Z")
			lines := p.lines()
			if len(lines) == 0 || code(lines[0]) != c.want || lines[len(lines)-1] != "closed" {
				t.Errorf("got %q, want %s and closed", lines, c.want)
			}
			neighbour.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
		})
	}
}

func TestEncryptionIsDeclined(t *testing.T) {
	g := narrow(t, 1, nil)
	p := dial(t, g.addr)
	for _, ask := range []uint32{1234<<16 | 5680, 1234<<16 | 5679} {
		p.write(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, ask))
		if b, err := p.r.ReadByte(); b != 'N' || err != nil {
			t.Fatalf("got %q, %v; want N", b, err)
		}
	}
	p.write(startup(wire.Version30, "user", "postgres", "database", "postgres"))
	p.read("Z")
	p.lines()
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
}

// After the login, bytes that are no messages close the client with the server's words, and nobody else notices.
func TestAbsurdMessages(t *testing.T) {
	g := narrow(t, 1, nil)
	neighbour, _ := enter(t, g.addr)
	for name, c := range map[string]struct{ before, send, want string }{
		"unknown type":     {"", "!\x00\x00\x00\x04", "E SFATAL VFATAL C08P01 Minvalid frontend message type 33; closed"},
		"unknown, in tx":   {"begin; select 1", "!\x00\x00\x00\x04", "E SFATAL VFATAL C08P01 Minvalid frontend message type 33; closed"},
		"length 3":         {"", "Q\x00\x00\x00\x03", "E SFATAL VFATAL C08P01 Minvalid message length; closed"},
		"length 2^30":      {"", "Q\x40\x00\x00\x00", "E SFATAL VFATAL C08P01 Minvalid message length; closed"},
		"length negative":  {"begin; select 1", "Q\xff\xff\xff\xff", "E SFATAL VFATAL C08P01 Minvalid message length; closed"},
		"password, late":   {"", "p\x00\x00\x00\x05\x00", "E SFATAL VFATAL C08P01 Minvalid frontend message type 112; closed"},
		"startup again":    {"", string(startup(wire.Version30, "user", "x")), "E SFATAL VFATAL C08P01 Minvalid frontend message type 0; closed"},
		"end in a message": {"", "Q\x00\x00\x00\x10sel", "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := enter(t, g.addr)
			if c.before != "" {
				p.ask(c.before)
			}
			p.write([]byte(c.send))
			if c.want == "closed" {
				_ = p.nc.Close()
				return
			}
			p.read("Z")
			if got := strings.Join(p.lines(), "; "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			g.atRest(t)
			neighbour.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
		})
	}
}

func TestTooManyClients(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		const most, tries = 5, 40
		g := narrow(t, 2, func(c *Config) { c.MaxClients = most })
		var all []*speaker
		for range tries {
			p := dial(t, g.addr)
			p.write(startup(wire.Version30, "user", "postgres", "database", "postgres"))
			all = append(all, p)
		}
		in := 0
		for _, p := range all {
			if p.read("Z"); !p.over {
				in++
			}
		}
		if in != most {
			t.Errorf("%d clients were let in, want %d", in, most)
		}
	})
	g := narrow(t, 1, func(c *Config) { c.MaxClients = 2 })
	a, _ := enter(t, g.addr)
	enter(t, g.addr)
	got := greeting(t, g.addr, wire.Version30, "user", "postgres", "database", "postgres")
	if strings.Join(got, "; ") != "E SFATAL VFATAL C53300 Mguard: client connection limit reached; closed" {
		t.Errorf("got %q", got)
	}
	a.leave()
	eventually(t, "one client", func() bool { return g.clients() == 1 })
	enter(t, g.addr)
}

// Clients that differ in a start-up setting never get each other's servers.
func TestStartupSettingsAreKeptApart(t *testing.T) {
	g := narrow(t, 1, nil)
	var all []*speaker
	for _, c := range [][]string{
		{"UTC"}, {"Asia/Tokyo"}, {"UTC", "options", "-c work_mem=5MB"}, {"UTC", "work_mem", "6MB"}, {"Asia/Tokyo", "DateStyle", "German"},
	} {
		p, _ := enter(t, g.addr, append([]string{"TimeZone"}, c...)...)
		all = append(all, p)
	}
	want := []string{"UTC|4MB|ISO, MDY", "Asia/Tokyo|4MB|ISO, MDY", "UTC|5MB|ISO, MDY", "UTC|6MB|ISO, MDY", "Asia/Tokyo|4MB|German, DMY"}
	for range 3 {
		for i, p := range all {
			got := p.ask("select current_setting('timezone'), current_setting('work_mem'), current_setting('datestyle')")
			if got[1] != "D "+want[i] {
				t.Errorf("client %d: got %q, want %s", i, got, want[i])
			}
		}
	}
}

// TestLoginsTakeTurnsWhileSomebodyStays: the first client to stay is who the others give way to.
func TestLoginsTakeTurnsWhileSomebodyStays(t *testing.T) {
	g := narrow(t, 2, nil)
	if g.logins.on.Load() {
		t.Fatal("they do before anybody is there")
	}
	client := g.call(t)
	eventually(t, "logins take turns", g.logins.on.Load)
	g.call(t).kill()
	client.kill()
	eventually(t, "nobody stays", func() bool { return !g.logins.on.Load() })
}
