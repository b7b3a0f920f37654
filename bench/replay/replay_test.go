package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// record is a line of csvlog as PostgreSQL 15 writes it.
func record(at, session, message, detail, application string) string {
	quoted := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	return fmt.Sprintf(`%s,"app","shop",4711,"127.0.0.1:5000",%s,3,"SELECT",2026-11-29 12:00:00 UTC,4/5,0,LOG,00000,%s,%s,,,,,,,,%s,"client backend",,0`,
		at, session, quoted(message), quoted(detail), quoted(application)) + "\n"
}

const someTime = "2026-11-29 12:00:10.500 UTC"

func TestLogsInBothFormsAreTheSame(t *testing.T) {
	text := "select '\"', $1,\n$2, $3 from t"
	csv := record(someTime, "a.1", "duration: 500.250 ms  execute <unnamed>: "+text, "parameters: $1 = 'it''s, $2 = ''x''', $2 = NULL, $3 = ''", "puma") +
		record(someTime, "b.2", "connection received", "", "") +
		record("2026-11-29 12:00:10.100 CET", "b.2", "duration: 1.000 ms  statement: BEGIN", "", "sidekiq")
	json := `{"timestamp":"2026-11-29 12:00:10.500 UTC","session_id":"a.1","message":"duration: 500.250 ms  execute a3: select '\"', $1,\n$2, $3 from t","detail":"Parameters: $1 = 'it''s, $2 = ''x''', $2 = NULL, $3 = ''","application_name":"puma"}
{"timestamp":"2026-11-29 12:00:10.500 UTC","session_id":"b.2","message":"connection received"}
{"timestamp":"2026-11-29 12:00:10.100 CET","session_id":"b.2","message":"duration: 1.000 ms  statement: BEGIN","application_name":"sidekiq"}
`
	for form, in := range map[string]string{"csv": csv, "json": json} {
		log, err := Read(strings.NewReader(in), "")
		if err != nil {
			t.Fatal(form, err)
		}
		if len(log.Sessions) != 2 || log.Skipped != 0 || log.Sessions[0].ID != "a.1" || log.Sessions[1].ID != "b.2" {
			t.Fatalf("%s: %+v", form, log)
		}
		s := log.Sessions[0].Statements[0]
		if s.Text != text || s.Application != "puma" || !s.Extended || s.Took != 500250*time.Microsecond || s.Begin.Format("05.000000") != "09.999750" {
			t.Errorf("%s: %+v", form, s)
		}
		if len(s.Args) != 3 || *s.Args[0] != "it's, $2 = 'x'" || s.Args[1] != nil || *s.Args[2] != "" {
			t.Errorf("%s: arguments %v", form, s.Args)
		}
		if b := log.Sessions[1].Statements[0]; b.Text != "BEGIN" || b.Extended || b.Args != nil {
			t.Errorf("%s: %+v", form, b)
		}
		if from, to := log.Span(); to.Sub(from) != 500250*time.Microsecond {
			t.Errorf("%s: %s to %s", form, from, to)
		}
	}
}

func TestWhatCannotBePlayedIsCounted(t *testing.T) {
	in := ""
	for _, message := range []string{
		"duration: 0.100 ms", "duration: 0.100 ms  statement: COPY t FROM STDIN", "duration: 0.100 ms  execute fetch from C_1: select 1",
		"duration: 0.100 ms  parse a1: select $1", "duration: 0.100 ms  bind a1: select $1", "duration: 0.100 ms  statement: select 1",
	} {
		in += record(someTime, "a", message, "", "")
	}
	in += record(someTime, "a", "duration: 0.100 ms  execute a1: select $1", "parameters: $1 = 'cut", "")
	log, err := Read(strings.NewReader(in), "")
	if err != nil || log.Skipped != 4 || len(log.Sessions) != 1 || len(log.Sessions[0].Statements) != 1 {
		t.Errorf("%+v %v", log, err)
	}
}

func TestOnlyOneDatabase(t *testing.T) {
	in := record(someTime, "a", "duration: 0.100 ms  statement: select 1", "", "")
	other := strings.ReplaceAll(record(someTime, "b", "duration: 0.100 ms  statement: select 2", "", ""), "shop", "other")
	log, err := Read(strings.NewReader(in+other), "shop")
	if err != nil || len(log.Sessions) != 1 || log.Sessions[0].ID != "a" {
		t.Errorf("%+v %v", log, err)
	}
	if _, err := Read(strings.NewReader(in), "other"); err == nil {
		t.Error("nothing is played, and no error")
	}
}

func TestOnlyReads(t *testing.T) {
	in := ""
	for _, text := range []string{"BEGIN", "select 1", "(SELECT 2) union select 3", "update t set a = 1", "COMMIT", "with x as (delete from t) select 1"} {
		in += record(someTime, "a", "duration: 0.100 ms  statement: "+text, "", "")
	}
	log, err := Read(strings.NewReader(in+record(someTime, "b", "duration: 0.100 ms  statement: delete from t", "", "")), "")
	if err != nil {
		t.Fatal(err)
	}
	if reads := log.OnlyReads(); reads.Skipped != 5 || len(reads.Sessions) != 1 || len(reads.Sessions[0].Statements) != 2 {
		t.Errorf("%+v", reads)
	}
}

func TestWhatIsNoLogIsSaid(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "empty",
		"a,b,c\n":                "none of PostgreSQL's csvlog",
		"{\"timestamp\": \"x\"}": "no time of PostgreSQL's log",
		"{no":                    "line 1",
		record("yesterday", "a", "duration: 0.1 ms  statement: select 1", "", ""): "line 1: no time",
		record(someTime, "a", "connection received", "", ""):                      "log_min_duration_statement",
	} {
		if _, err := Read(strings.NewReader(in), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", in, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(record(someTime, "a", "duration: 0.100 ms  execute a1: select $1", "parameters: $1 = 'x'", ""))
	f.Add(`{"timestamp":"2026-11-29 12:00:10.5 UTC","message":"duration: 1 ms  statement: select 1"}`)
	f.Fuzz(func(t *testing.T, in string) {
		log, err := Read(strings.NewReader(in), "")
		if err == nil && len(log.Sessions) == 0 {
			t.Error("nothing to play, and no error")
		}
	})
}
