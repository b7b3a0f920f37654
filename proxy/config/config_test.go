package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgguard/proxy"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected outputs in testdata")

const divider = "----------\n"

// clearLibpqEnv makes the upstreams independent of who runs the test.
func clearLibpqEnv(t testing.TB) {
	t.Helper()
	for _, name := range []string{
		"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGCONNECT_TIMEOUT", "PGSSLMODE",
	} {
		t.Setenv(name, "")
	}
}

// TestFiles reads each file of testdata up to its divider; below it stands the effective configuration or the faults.
func TestFiles(t *testing.T) {
	clearLibpqEnv(t)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(data), divider)
			if !ok {
				t.Fatalf("%s has no line %q", path, strings.TrimSpace(divider))
			}
			got := outcome(input)
			if strings.Contains(got, "hunter") {
				t.Errorf("a password is shown:\n%s", got)
			}
			if *rewrite {
				if err := os.WriteFile(path, []byte(input+divider+got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func outcome(input string) string {
	f, err := Parse("pgguard.yaml", []byte(input))
	if err != nil {
		return err.Error() + "\n"
	}
	return string(f.Effective())
}

func TestDefaultIsTheProxysDefault(t *testing.T) {
	got, want := Default().ToProxy(), proxy.Default()
	got.Log, want.Log = nil, nil
	want.Databases = map[string]proxy.Database{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestOverridesReplaceTheFileAndAreNamedInFaults(t *testing.T) {
	clearLibpqEnv(t)
	file := "upstream: postgres://app@db/app\nmode: nonsense\nlisten: [{addr: x, class: y}]\nlog: {level: debug}\n" +
		"classes: [{name: web}, {name: low, match: [{listener: \"127.0.0.1:7000\"}]}]\n"
	f, err := Parse("f.yaml", []byte(file),
		Override{"mode", []string{"observe"}, "--mode"},
		Override{"listen", []string{"127.0.0.1:1", "unix:/tmp"}, "--listen"},
		Override{"upstream", []string{"postgres://x:y@other:1/z"}, "--upstream"},
		Override{"log.level", []string{"warn"}, "--log-level"})
	if err != nil {
		t.Fatal(err)
	}
	c := f.ToProxy()
	if !c.Observe || len(c.Listen) != 2 || c.Listen[1].Addr != "unix:/tmp" || c.Upstream.Host != "other" || f.Log.Level != 4 {
		t.Errorf("got %s", f.Effective())
	}
	_, err = Parse("f.yaml", []byte("upstream: postgres://app@db/app\npool: {limit: x}\n"),
		Override{"mode", []string{"off"}, "--mode"},
		Override{"listen", []string{"127.0.0.1:1", "0.0.0.0:1"}, "--listen"},
		Override{"upstream", []string{"postgres://x:hunter2@other:y/z"}, "--upstream"})
	want := `--mode: mode: "off" is not one of enforce, observe
--upstream: upstream: port is not a number from 1 to 65535; in a password write : as %3A, @ as %40 and / as %2F
--listen: listen[1]: "0.0.0.0:1" can be reached from other machines, but clients are trusted without a password; three ways out: listen on 127.0.0.1, [::1] or unix:DIR; have clients prove who they are, over TLS (auth.method: scram-sha-256, tls.mode: require); or say by auth.insecure: true that the network is yours alone
f.yaml:2:15: pool.limit: "x" is not auto or a whole number from 1`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestLoadWithoutAFileNamesOnlyTheKey(t *testing.T) {
	_, err := Load("")
	if err == nil || !strings.HasPrefix(err.Error(), "upstream: is missing") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent.yaml")); !os.IsNotExist(err) {
		t.Errorf("an absent file: got %v", err)
	}
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, maxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("a large file: got %v", err)
	}
}

func TestParseAnswersAbsurdInputWithAFault(t *testing.T) {
	for _, s := range []string{
		"[", "[\n", "{a: ", "- ", "? ", "a:\n ", "&a ", "!a ", "- - ? ", "\"", "'", "|\n", "*a: ", "a: b\n", "\x00", "\xff",
	} {
		if _, err := Parse("f", []byte(strings.Repeat(s, 5_000))); err == nil {
			t.Errorf("%q many times: no fault", s)
		}
	}
}

func TestDurationsAreReadBackAsPrinted(t *testing.T) {
	for text, want := range map[string]string{
		"600s": "10m", "1h": "1h", "0s": "0s", "90m": "1h30m", "1500ms": "1.5s", "3605s": "1h0m5s", "0": "0s",
	} {
		var d, back Duration
		if err := d.set(text); err != nil {
			t.Fatal(err)
		}
		if err := back.set(d.String()); err != nil || back != d || d.String() != want {
			t.Errorf("%s is printed as %s and read back as %s, %v; want %s", text, d, back, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, "../../deploy/pgguard.yaml") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(data), divider)
		f.Add([]byte(input))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yaml", data)
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("an error without faults: %v", err)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 {
					t.Fatalf("a fault without a place: %v", fault)
				}
			}
			return
		}
		printed := c.Effective()
		back, err := Parse("effective.yaml", printed)
		if err != nil {
			t.Fatalf("the effective configuration is not accepted: %v\n%s", err, printed)
		}
		if again := back.Effective(); string(again) != string(printed) {
			t.Fatalf("printed as\n%s\nthen as\n%s", printed, again)
		}
	})
}
