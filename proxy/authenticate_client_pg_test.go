//go:build pg

package proxy

import (
	"encoding/base64"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/wire"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// tempFile writes a file of the test's own.
func tempFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	overwrite(t, path, text)
	return path
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// systemUser is who runs the test.
func systemUser(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// psqlSays logs in by libpq and returns what it says against it; empty: nothing.
func psqlSays(t *testing.T, host, port, user string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "psql", "-X", "-h", host, "-p", port, "-U", user, "-d", "postgres", "-w", "-Atc", "select 1")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil && strings.TrimSpace(string(out)) == "1" {
		return ""
	}
	return string(out)
}

// knock says who it is, and reads the request for a proof.
func knockAs(t *testing.T, addr, user string) *speaker {
	t.Helper()
	p := dial(t, addr)
	p.write(startup(wire.Version30, "user", user, "database", "postgres"))
	p.read("R")
	return p
}

// sasl sends a message of SCRAM; mechanism is empty for those after the first.
func (p *speaker) sasl(mechanism, data string) {
	p.t.Helper()
	if mechanism == "" {
		p.write(encode(nil, &pgproto3.SASLResponse{Data: []byte(data)}))
		return
	}
	p.write(encode(nil, &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(data)}))
}

// challengeOf is the challenge for a user, but for the nonce.
func challengeOf(t *testing.T, addr, user string) string {
	t.Helper()
	p := knockAs(t, addr, user)
	p.sasl("SCRAM-SHA-256", "n,,n=,r=abc")
	typ, body := p.message()
	if typ != wire.Authentication {
		t.Fatalf("%s: got %s", user, p.line(typ, body))
	}
	_, rest, _ := strings.Cut(string(body[4:]), ",")
	_ = p.nc.Close()
	return rest
}
