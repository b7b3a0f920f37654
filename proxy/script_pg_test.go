//go:build pg

package proxy

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgguard/pool/queue"
	"pgguard/proxy/wire"
)

// step is one write of a script and what is read after it.
type step struct {
	send  []byte
	until string // types of messages to wait for, in order
	each  int    // bytes a write, 0: all in one
}

// say is a step that sends the messages in one write and waits for the types in until.
func say(until string, messages ...[]byte) step {
	var all []byte
	for _, m := range messages {
		all = append(all, m...)
	}
	return step{send: all, until: until}
}

// queries are steps of one simple query each.
func queries(texts ...string) []step {
	var out []step
	for _, text := range texts {
		out = append(out, say("Z", simple(text)))
	}
	return out
}

// play runs the steps and returns what was said.
func (p *speaker) play(steps []step) []string {
	p.t.Helper()
	for i, s := range steps {
		p.said = append(p.said, fmt.Sprintf("-- %d", i))
		if s.each == 0 {
			p.write(s.send)
		}
		for b := s.send; s.each > 0 && len(b) > 0; b = b[min(s.each, len(b)):] {
			p.write(b[:min(s.each, len(b))])
		}
		p.read(s.until)
		if p.over {
			break
		}
	}
	return p.lines()
}

// same runs the steps at the server itself and through the guard, and fails the test where the answers differ.
func same(t *testing.T, g *guard, steps ...step) {
	t.Helper()
	sameAs(t, g, nil, steps...)
}

// sameAs is same for clients with these start-up parameters.
func sameAs(t *testing.T, g *guard, params []string, steps ...step) {
	t.Helper()
	want, got := scripted(t, address(shared), params, steps), scripted(t, g.addr, params, steps)
	compare(t, want, got)
}

// scripted logs in, plays and leaves; an open transaction is rolled back.
func scripted(t *testing.T, addr string, params []string, steps []step) []string {
	t.Helper()
	p, _ := enter(t, addr, params...)
	out := p.play(steps)
	if !p.over {
		p.leave()
	}
	return out
}

func compare(t *testing.T, want, got []string) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		w, g := "(nothing)", "(nothing)"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			t.Errorf("line %d\n got %s\nwant %s\nall of the server:\n%s\nall of the guard:\n%s",
				i, g, w, excerpt(want, i), excerpt(got, i))
			return
		}
	}
}

// excerpt is the lines around one.
func excerpt(lines []string, at int) string {
	from, to := max(0, at-25), min(len(lines), at+10)
	if from >= to {
		return ""
	}
	return strings.Join(lines[from:to], "\n")
}

// narrow is a guard in front of the shared cluster with at most servers server connections.
func narrow(t *testing.T, servers int, set func(*Config)) *guard {
	t.Helper()
	return newGuard(t, address(shared), func(c *Config) {
		c.Pool.MaxServers = servers
		if set != nil {
			set(c)
		}
	})
}

// impatient lets nobody wait longer than d.
func impatient(d time.Duration) func(*Config) {
	return func(c *Config) {
		c.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: d, MaxLength: 1000, MaxShare: 1}}
		c.Rules = nil
	}
}

// The messages of the extended protocol.

var (
	msgSync     = wire.AppendEmpty(nil, wire.Sync)
	msgFlush    = wire.AppendEmpty(nil, wire.Flush)
	msgCopyDone = wire.AppendEmpty(nil, wire.CopyDone)
)

func parse(name, text string) []byte {
	return appendMessage(nil, wire.Parse, name+"\x00"+text+"\x00\x00\x00")
}

func describe(kind byte, name string) []byte {
	return appendMessage(nil, wire.Describe, string(kind)+name+"\x00")
}

func closes(kind byte, name string) []byte {
	return appendMessage(nil, wire.Close, string(kind)+name+"\x00")
}

func execute(portal string, rows int) []byte {
	return appendMessage(nil, wire.Execute, portal+"\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(rows))))
}

// bound is a Bind; its arguments are in text format.
func bound(portal, name string, args ...string) []byte {
	body := append([]byte(portal+"\x00"+name+"\x00"), 0, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(args)))
	for _, a := range args {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(a))), a...)
	}
	return appendMessage(nil, wire.Bind, string(append(body, 0, 0)))
}

func copyData(text string) []byte { return appendMessage(nil, wire.CopyData, text) }

func copyFail(text string) []byte { return wire.AppendText(nil, wire.CopyFail, text) }

// unnamed is a whole batch of the unnamed statement, as drivers send it, with its Sync.
func unnamed(text string, args ...string) []byte {
	out := append(parse("", text), describe('S', "")...)
	out = append(append(out, bound("", "", args...)...), execute("", 0)...)
	return append(out, msgSync...)
}

// batches are steps of one unnamed statement each.
func batches(texts ...string) []step {
	var out []step
	for _, text := range texts {
		out = append(out, say("Z", unnamed(text)))
	}
	return out
}
