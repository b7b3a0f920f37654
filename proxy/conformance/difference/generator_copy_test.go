package difference

import (
	"fmt"
	"strings"
)

// copyTexts begin a COPY FROM STDIN, alone or in company, or do not get as far.
var copyTexts = []string{
	"copy t1 from stdin", "copy t1 from stdin", "copy t2 from stdin csv", "copy t2 (a) from stdin", "copy t1 from stdin binary",
	"copy nosuch from stdin", "copy t1 (nosuch) from stdin", "copy tt from stdin", "copy t1 from stdin where id > 300",
	"copy t1 from stdin; select count(*) from t1", "select 1; copy t1 from stdin", "copy t1 from stdin; copy t2 (a) from stdin",
	"begin; copy t1 from stdin", "select 1 / 0; copy t1 from stdin", "copy t2 (a) from stdin; select 1 / 0", "/* c */ COPY t1 FROM STDIN",
	"set work_mem = '20MB'; copy t2 (a) from stdin; reset work_mem",
}

// copyRows are what is sent: rows that fit, and ways not to.
func (g *generator) copyRows() []message {
	switch g.r.IntN(8) {
	case 0:
		return nil
	case 1:
		return []message{copyData("300\tc\n"), copyData("not a number\tc\n")}
	case 2:
		return []message{copyData("1\talready there\n")}
	case 3:
		return []message{copyData("301\n")}
	case 4:
		return []message{copyData("302\tin "), copyData("pieces\n303\tand more"), copyData("\n")}
	case 5:
		var b strings.Builder
		for i := range 3000 {
			fmt.Fprintf(&b, "%d\t%s\n", 1000+i, strings.Repeat("c", i%20))
		}
		return []message{copyData(b.String())}
	case 6:
		return []message{copyData("7\n"), copyData("8\n")}
	}
	return []message{copyData("304\ta copied row\n"), copyData("305\tanother\n")}
}

// copyEnd ends the data.
func (g *generator) copyEnd() message {
	if g.one(4) {
		return copyFail(g.pick("the client has had enough", ""))
	}
	return copyDone
}

// copyIn is a COPY FROM STDIN: simple or extended, with its data in the same write or only once it is asked for.
func (g *generator) copyIn() step {
	text := copyTexts[g.r.IntN(len(copyTexts))]
	st := step{kind: client}
	extended := g.one(2)
	if extended {
		text, _, _ = strings.Cut(text, ";")
		s := ""
		if g.one(3) {
			s = "copier"
		}
		st.messages = []message{parse(s, text), bind("", s), execute("", 0)}
		if g.one(2) { // as drivers do that do not look at the text: the copy reads over this Sync
			st.messages = append(st.messages, sync)
		}
	} else {
		g.believe(text)
		st.messages = []message{query(text)}
	}
	for range 1 + strings.Count(text, "from stdin")/2 {
		data := append(g.copyRows(), g.copyEnd())
		if extended {
			data = append(data, sync)
		}
		if g.one(2) {
			st.answers = append(st.answers, data...)
		} else {
			st.messages = append(st.messages, data...)
		}
	}
	if last := st.messages[len(st.messages)-1]; extended && last.kind != "Sync" {
		st.messages = append(st.messages, flush)
	}
	return st
}
