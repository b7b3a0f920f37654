package sql

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestShownIsOneLineOfPlainText(t *testing.T) {
	for text, want := range map[string]string{
		"Puma 6.4":               "Puma 6.4",
		"<b>&amp;":               "<b>&amp;", // who writes a page escapes it
		"a\x00b\nc\td\x1b[2Je":   "a?b?c?d?[2Je",
		"\u202eevil\u200b\u2028": "?evil??",
		"caf\xe9":                "caf?",
		"Grüße, 東京":              "Grüße, 東京",
		"\u0085\u009b":           "??",
	} {
		if got := Shown(text, 64); got != want {
			t.Errorf("Shown(%q) is %q, want %q", text, got, want)
		}
	}
	long := strings.Repeat("ü", 30_000)
	if got := Shown(long, 63); got != strings.Repeat("ü", 31)+"…" {
		t.Errorf("60 kB are shown as %d bytes: %q", len(got), got)
	}
}

func FuzzShown(f *testing.F) {
	f.Add("a\xffb\u202e", 3)
	f.Add(strings.Repeat("\x80", 100), 10)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = max(0, min(most, 1<<10))
		got := Shown(text, most)
		if len(got) > most+len("…") || !utf8.ValidString(got) {
			t.Fatalf("Shown(%q, %d) is %q", text, most, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("Shown(%q, %d) has %q in it", text, most, r)
			}
		}
	})
}
