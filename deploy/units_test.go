package deploy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgguard/proxy/config"
)

// unit reads the settings of a unit file; one that is given twice has its values joined by a space.
func unit(t *testing.T, path string) map[string]string {
	t.Helper()
	found := map[string]string{}
	s := bufio.NewScanner(bytes.NewReader(read(t, path)))
	for s.Scan() {
		key, value, ok := strings.Cut(s.Text(), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if before, twice := found[key]; twice {
			value = strings.TrimSpace(before + " " + value)
		}
		found[key] = value
	}
	return found
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestSocketsAreThoseOfTheConfiguration: a socket that systemd hands over and that is not under listen is an error at the start.
func TestSocketsAreThoseOfTheConfiguration(t *testing.T) {
	f, err := config.Parse("systemd/pgguard.yaml", append(read(t, "systemd/pgguard.yaml"), []byte("\nupstream: postgres://app@db/app\n")...))
	if err != nil {
		t.Fatal(err)
	}
	var listen []string
	for _, l := range f.Listen {
		listen = append(listen, l.Addr)
	}
	if got := strings.Fields(unit(t, "systemd/pgguard.socket")["ListenStream"]); !slices.Equal(got, listen) {
		t.Errorf("ListenStream= %q, listen: %q", got, listen)
	}
}

// TestUnitGivesTheGuardItsTime: it is the guard that says how long a drain takes, and a unit without Type=notify would not hear it.
func TestUnitGivesTheGuardItsTime(t *testing.T) {
	u := unit(t, "systemd/pgguard.service")
	for key, want := range map[string]string{
		"Type": "notify", "NotifyAccess": "main", "RestartPreventExitStatus": "2", "NoNewPrivileges": "yes", "User": "pgguard",
		"Restart": "always", "StartLimitIntervalSec": "0", // else systemd gives up after five failures in ten seconds
		"ExecStart": "/usr/bin/pgguard serve -c /etc/pgguard/pgguard.yaml",
	} {
		if u[key] != want {
			t.Errorf("%s=%s, want %s", key, u[key], want)
		}
	}
	for _, key := range []string{"PrivateUsers", "ProcSubset"} {
		if v, ok := u[key]; ok {
			t.Errorf("%s=%s: see the comment in the unit", key, v)
		}
	}
}

// TestNixosModuleHasTheUnit: the service of NixOS is the one that is measured by systemd-analyze.
func TestNixosModuleHasTheUnit(t *testing.T) {
	nix := map[string]string{}
	setting := regexp.MustCompile(`^ {8}(\w+) = (.*);$`)
	_, body, _ := strings.Cut(string(read(t, "nixos/module.nix")), "serviceConfig = {\n")
	body, _, _ = strings.Cut(body, "\n      };")
	for _, line := range strings.Split(body, "\n") {
		m := setting.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%q is not a setting", line)
		}
		value := strings.NewReplacer(`[ `, "", ` ]`, "", `"`, "", "@privileged @resources", "@privileged @resources").Replace(m[2])
		nix[m[1]] = strings.NewReplacer("true", "yes").Replace(value)
	}
	u := unit(t, "systemd/pgguard.service")
	other := []string{"Description", "Documentation", "After", "Wants", "WantedBy", "Environment", "ExecStart", "ExecReload", "EnvironmentFile", "StartLimitIntervalSec"}
	for key, want := range u {
		if got := nix[key]; got != want && !slices.Contains(other, key) {
			t.Errorf("%s is %q in the unit and %q in the module", key, want, got)
		}
	}
	for key := range nix {
		if _, ok := u[key]; !ok {
			t.Errorf("%s is in the module alone", key)
		}
	}
}

// TestVendorHashIsOfTheseModules: Nix builds with no other modules than those that the hash was made of.
func TestVendorHashIsOfTheseModules(t *testing.T) {
	line := fmt.Sprintf("\n# go.sum: %.8x\n", sha256.Sum256(read(t, "../go.sum")))
	if !strings.Contains(string(read(t, "nixos/package.nix")), line) {
		t.Error("go.sum has changed since vendorHash in nixos/package.nix was worked out: make verify says what it must be")
	}
}
