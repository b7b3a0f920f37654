package difference

import (
	"slices"
	"strings"
	"testing"
)

// generated is how many scripts the tests without a server look at.
const generated = 300

func TestScriptsAreReadBack(t *testing.T) {
	for seed := range uint64(generated) {
		all := []script{generateFor(kinds[seed%uint64(len(kinds))], seed), generate(seed + generated)}
		text := format(all)
		read, err := parseScripts(text)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got := format(read); got != text {
			t.Fatalf("seed %d: read back as\n%s\nwant\n%s", seed, got, text)
		}
		for i := range all {
			for j, st := range all[i].steps {
				if got, want := bytesOf(read[i].steps[j]), bytesOf(st); got != want {
					t.Fatalf("seed %d: step\n%s\nis sent as %q, want %q", seed, st, got, want)
				}
			}
		}
	}
}

func bytesOf(st step) string {
	var b []byte
	for _, m := range slices.Concat(st.messages, st.answers) {
		b = m.append(b)
	}
	return string(b)
}

func TestFaultyScriptsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"nobody":                                "line 1: \"nobody\" is not the start of anything",
		"  Query select 1":                      "line 1: a message before the first step",
		"client\n  Sink":                        "line 2: there is no message \"Sink\"",
		"client\n  Sync twice":                  "line 2: Sync: nothing is wanted after it but there is \"twice\"",
		"client\n\n  Describe X a":              "line 3: Describe X: S or P is wanted",
		"client\n  Execute p many":              "line 2: many is not a number",
		"client\n  Bind p \"a":                  "line 2: \"a: the quotes do not close",
		"client\n  Parse a":                     "line 2: a word is missing",
		"leave quietly":                         "line 1: \"quietly\" is no way to leave",
		"leave fin all":                         "line 1: all is not a number",
		"guard rude":                            "line 1: there is no guard \"rude\"",
		"client\n---\nclient\n  Execute \"\" x": "line 4: x is not a number",
	} {
		if _, err := parseScripts(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestLongRunsAreShortInScripts(t *testing.T) {
	z := strings.Repeat("z", 70000)
	for text, want := range map[string]string{
		"":                         "",
		"select 1":                 "select 1",
		z:                          "<z*70000>",
		"'" + z + "' || '" + z[:9]: "'<z*70000>' || 'zzzzzzzzz",
		"a" + z + z[:50] + "bb":    "a<z*70050>bb",
		strings.Repeat(" ", 100):   strings.Repeat(" ", 100),
	} {
		if got := squeeze(text); got != want || stretch(got) != text {
			t.Errorf("got %.100s, want %.100s; read back as %d letters, want %d", got, want, len(stretch(got)), len(text))
		}
	}
}

func TestSeedMakesTheScript(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(generated) {
		text := generate(seed).String()
		if text != generate(seed).String() {
			t.Fatalf("seed %d makes two scripts", seed)
		}
		seen[text] = true
	}
	if len(seen) != generated {
		t.Errorf("%d seeds make %d scripts", generated, len(seen))
	}
}

// What is known to differ is not generated; each family and each kind of message is.
func TestEverythingElseIsGenerated(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(generated) {
		for _, st := range generate(seed).steps {
			kinds[string(st.kind)]++
			if st.kind != client {
				continue
			}
			for _, m := range slices.Concat(st.messages, st.answers) {
				kinds[m.kind]++
				if isKnown(m.sql) {
					t.Errorf("seed %d: %s", seed, m)
				}
			}
		}
	}
	for _, kind := range strings.Fields("client neighbour visitor notify leave Query Parse Bind Describe Execute Close Sync Flush FunctionCall CopyData CopyDone CopyFail") {
		if kinds[kind] == 0 {
			t.Errorf("no %s in %d scripts", kind, generated)
		}
	}
}
