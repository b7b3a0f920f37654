package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestPasswordsUnderAWrongKeyAreNeverShown: a connection string may stand where it does not belong, with any character in its password.
func TestPasswordsUnderAWrongKeyAreNeverShown(t *testing.T) {
	clearLibpqEnv(t)
	for _, odd := range []string{"", "@", ":", "/", "?", "#", " ", "'", `"`, `\`, "%", "&", "=", "@@", "://", "ä", "\t", ", ", "]", "' '"} {
		secret := "hunter" + odd + "tiger"
		quoted := "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(secret) + "'"
		for _, value := range []string{
			"postgres://app:" + secret + "@db:5432/app", "postgres://app:" + strings.ReplaceAll(secret, "@", "%40"), "postgresql://:" + secret + "@/app", "postgres://db/app?user=a&password=" + secret + "&sslmode=disable",
			"host=db password=" + quoted + " user=app", "host=db password = " + quoted, "host=db sslpassword=" + strings.ReplaceAll(secret, " ", `\ `), "PASSWORD=" + quoted,
		} {
			text := fmt.Sprintf("%q", value)
			for _, file := range []string{
				"mode: " + text, "pool: {limit: " + text + "}", "http: " + text, "listen: [" + text + "]", "login_timeout: " + text, "pprof: " + text, "otlp: {url: " + text + "}",
				"classes: [{name: " + text + "}]", "classes: [{name: a, match: [{application_name: " + `"(" ` + "}, {listener: " + text + "}]}]", "log: {level: " + text + "}", text + ": 1", text,
				"pool: {learned: " + text + "}", "takeover: {socket: " + text + "}", "admin: {users: [{a: " + text + "}]}", "auth: {rules: [{address: " + text + ", method: trust}]}",
				"auth: {rules: [{method: " + text + "}]}", "incidents: {file: " + text + "}", "users: {" + text + ": {max_servers: x}}", "databases: {a: {settings: {" + text + ": x}}}",
			} {
				_, err := Parse("f.yaml", []byte(file+"\n"))
				if err == nil {
					continue
				}
				if got := err.Error(); strings.Contains(got, "hunter") || strings.Contains(got, "tiger") {
					t.Errorf("%s\nshows the password:\n%s", file, got)
				}
			}
		}
	}
}

// TestFilesOfOtherSystemsAreReadOrNamed: a byte order mark and other ends of lines change nothing; what is no UTF-8 is said to be none, and where.
func TestFilesOfOtherSystemsAreReadOrNamed(t *testing.T) {
	clearLibpqEnv(t)
	const file = "upstream: postgres://app@db/app\nmode: observe\npool:\n  limit: 4\n"
	want := outcome(file)
	for _, same := range []string{"\ufeff" + file, strings.ReplaceAll(file, "\n", "\r\n"), "\ufeff" + strings.ReplaceAll(file, "\n", "\r\n"), "\ufeff---\n" + file} {
		if got := outcome(same); got != want {
			t.Errorf("%q: got %s", same, got)
		}
	}
	utf16 := func(order func(c byte) string) string {
		var b strings.Builder
		for i := range len(file) {
			b.WriteString(order(file[i]))
		}
		return b.String()
	}
	for input, want := range map[string]string{
		"\xff\xfe" + utf16(func(c byte) string { return string(rune(c)) + "\x00" }): "pgguard.yaml:1:1: is UTF-16; save it as UTF-8\n",
		"\xfe\xff" + utf16(func(c byte) string { return "\x00" + string(rune(c)) }): "pgguard.yaml:1:1: is UTF-16; save it as UTF-8\n",
		file + "log: {format: caf\xe9}\n":                                           "pgguard.yaml:5:18: has a byte that is no UTF-8 (0xe9); save the file as UTF-8\n",
	} {
		if got := outcome(input); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestNumbersHaveAnEnd: what is added to and multiplied with others later cannot run over.
func TestNumbersHaveAnEnd(t *testing.T) {
	clearLibpqEnv(t)
	numbers := 0
	for _, s := range Default().Settings() {
		if !Settable(s.Key) || fieldAt(reflect.ValueOf(Default()).Elem(), s.Key).Kind() != reflect.Int {
			continue
		}
		numbers++
		for _, value := range []string{"9223372036854775807", "2147483648", "99999999999999999999999"} {
			if _, err := Parse("", nil, Override{"upstream", []string{"host=db"}, "x"}, Override{s.Key, []string{value}, "y"}); err == nil || !strings.Contains(err.Error(), s.Key) {
				t.Errorf("%s: %s is taken: %v", s.Key, value, err)
			}
		}
	}
	if numbers < 10 {
		t.Errorf("only %d keys were tried", numbers)
	}
}
