package judge

import (
	"os"
	"strings"
	"testing"
)

// functions is what the lists of the scanner say of each name: the headings, several for a name that is both a key word
// and a function. What the lists say is judged by people; that the scanner heeds them is judged here.
func readFunctions(t testing.TB) map[string][]string {
	t.Helper()
	functions := map[string][]string{}
	for _, file := range []string{"../functions_catalog.txt", "../functions_hand.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		heading := ""
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			for name := range strings.FieldsSeq(line) {
				if name[0] == '[' {
					heading = strings.Trim(name, "[]")
					continue
				}
				was := functions[name]
				if len(was) > 0 && (was[0] == "reads" && heading == "keywords" || was[0] == "keywords" && heading == "reads") {
					functions[name] = []string{"reads", "keywords"}
				} else {
					functions[name] = []string{heading}
				}
			}
		}
	}
	if len(functions) < 1500 {
		t.Fatalf("the lists have %d names", len(functions))
	}
	return functions
}
