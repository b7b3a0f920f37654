package sql

import (
	"strings"
	"testing"
)

// TestFunctionListsAgree looks every listed name up, in two cases, and finds it as it was listed last.
func TestFunctionListsAgree(t *testing.T) {
	want := map[string]function{}
	add := func(name string, kind function) {
		if name != strings.ToLower(name) || len(name) > MaxName {
			t.Errorf("%s is no name in lower case of at most %d bytes", name, MaxName)
		}
		if was := want[name]; was == fnReads && kind == fnKeyword || was == fnKeyword && kind == fnReads {
			kind = fnEither
		}
		want[name] = kind
	}
	readFunctions(functionsCatalog, add)
	readFunctions(functionsHand, add)
	if len(want) < 1500 {
		t.Errorf("the lists have %d names; the catalogue of PostgreSQL has more", len(want))
	}
	for name, kind := range want {
		if got := functionOf([]byte(name), true); got != kind {
			t.Errorf("%s is %d, want %d", name, got, kind)
		}
		if got := functionOf([]byte(strings.ToUpper(name)), false); got != kind {
			t.Errorf("%s in upper case is %d, want %d", name, got, kind)
		}
	}
}

// TestEveryCatalogueFunctionIsStable guards the rule that volatile functions are judged by hand: none of the catalogue's
// names may be one that changes the session.
func TestEveryCatalogueFunctionIsStable(t *testing.T) {
	readFunctions(functionsCatalog, func(name string, kind function) {
		switch name {
		case "set_config", "nextval", "setval", "pg_advisory_lock", "lo_create", "query_to_xml", "setseed", "ts_stat":
			t.Errorf("functions_catalog.txt has the volatile function %s", name)
		}
		if kind != fnReads && kind != fnKeyword {
			t.Errorf("functions_catalog.txt has %s in a section of its own", name)
		}
	})
}

// TestKeywords looks every key word up in three cases, and names that are nearly one.
func TestKeywords(t *testing.T) {
	for w := word(1); w < wordCount; w++ {
		text := wordTexts[w]
		for _, s := range []string{text, strings.ToUpper(text), strings.ToUpper(text[:1]) + text[1:]} {
			if got := keyword([]byte(s)); got != w {
				t.Errorf("keyword(%q) = %q", s, wordTexts[got])
			}
			if got := keyword([]byte(s + "_")); got != wNone {
				t.Errorf("keyword(%q) = %q", s+"_", wordTexts[got])
			}
		}
	}
	for _, s := range []string{"x", "t", "\xe9", "aa", "sele\x03t", "select_", strings.Repeat("a", 64)} {
		if got := keyword([]byte(s)); got != wNone {
			t.Errorf("keyword(%q) = %q", s, wordTexts[got])
		}
	}
}

// TestNameEnd compares eight bytes at a time with one by one, for every byte at every place.
func TestNameEnd(t *testing.T) {
	for place := range 20 {
		for c := range 256 {
			p := []byte(strings.Repeat("a", 20))
			p[place] = byte(c)
			want, quote := len(p), len(p)
			if classes[c] < classDigit {
				want = place
			}
			if c == '"' {
				quote = place
			}
			if got := nameEnd(p, 0); got != want {
				t.Errorf("nameEnd with byte %d at %d is %d", c, place, got)
			}
			if got := quoteEnd(p, 0); got != quote {
				t.Errorf("quoteEnd with byte %d at %d is %d", c, place, got)
			}
		}
	}
}
