package difference

import (
	"slices"
	"strings"
	"testing"
)

// Each line: what is sent, what comes (! is a refusal), what of it was taken and what is to be sent again, in the kinds' letters; ~ is
// where the unnamed statement is forgotten.
func TestRefusedIsWhatIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name, send, come string
		taken, again     string
		wrong            bool
	}{
		{"a query", "Q", "TDCZ", "Q", "", false},
		{"a refused query", "Q", "!Z", "", "Q", false},
		{"the second", "QQQ", "CZ!ZCZ", "QQ", "Q", false},
		{"a batch up to its Sync", "PBESQ", "!ZCZ", "~Q", "PBES", false},
		{"a batch that has its statement", "BESQ", "!ZCZ", "Q", "BES", false},
		{"the batch behind one", "PBESPBESQ", "12CZ!ZCZ", "PBES~Q", "PBES", false},
		{"a batch without a Sync", "PBEH", "!", "~", "PBEH", false},
		{"and what is in it", "PBEQPBE", "!", "~", "PBEQPBE", false},
		{"copy data with its query", "QddcQ", "!ZCZ", "Q", "Qddc", false},
		{"a Sync", "SQ", "!ZCZ", "Q", "S", false},
		{"in mid-batch", "PBES", "1!Z", "PBES", "", true},
		{"at its Sync", "PBES", "12C!Z", "PBES", "", true},
		{"twice", "PBESQ", "!!ZCZ", "~Q", "PBES", true},
		{"with more than an error", "PBES", "!12CZ", "~", "PBES", true},
	} {
		var l ledger
		var said transcript
		r := refusals{}
		for i, k := range c.send {
			m := message{kind: letters[k], n: i}
			r.step.messages = append(r.step.messages, m)
			l.send(m)
		}
		for _, typ := range c.come {
			line := string(typ) + " I"
			if typ == '!' {
				typ, line = 'E', "E S=ERROR V=ERROR C=53300 M=no"
			}
			if !r.take(&said, &l, line) {
				said.add(line)
			}
			l.receive(byte(typ))
		}
		taken, again := r.split(nil)
		wrong := slices.ContainsFunc(said.lines, func(line string) bool { return line[0] == '(' })
		if got, more := short(taken), short(again); got != c.taken || more != c.again || wrong != c.wrong {
			t.Errorf("%s: %s, %s: taken %q, again %q, wrong %t; want %q, %q, %t\n%q", c.name, c.send, c.come, got, more, wrong,
				c.taken, c.again, c.wrong, said.lines)
		}
	}
}

func short(st step) string {
	var b strings.Builder
	for _, m := range st.messages {
		switch {
		case m.ours && m.kind == "Close":
			b.WriteString("~")
		case !m.ours:
			b.WriteString(letter(m.kind))
		}
	}
	return b.String()
}
