package witness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/diagnosis"
)

// TestJournalIsRotated: no file is larger than it may be, only so many are kept, and what is in them is the end of what was written, in order.
func TestJournalIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	const lines = 400
	for i := 0; i < lines; {
		j := &journal{Journal: Journal{Path: path, Size: 2000, Keep: 2}} // as after a restart
		for range 50 {
			i++
			if err := j.write([]Line{{Event: &event.Event{Seq: uint64(i), Kind: event.Limit, From: "8", To: "9"}}}); err != nil {
				t.Fatal(err)
			}
		}
		j.close()
	}
	next := uint64(0)
	for _, name := range []string{path + ".2", path + ".1", path} {
		about, err := os.Stat(name)
		if err != nil || about.Size() > 2000 || about.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v %+v", name, err, about)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		for s := bufio.NewScanner(f); s.Scan(); {
			var l Line
			if err := json.Unmarshal(s.Bytes(), &l); err != nil || next != 0 && l.Event.Seq != next {
				t.Fatalf("%s: %s: %v, want number %d", name, s.Text(), err, next)
			}
			next = l.Event.Seq + 1
		}
	}
	if next != lines+1 {
		t.Errorf("the last is number %d", next-1)
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("a third old file is kept")
	}
}

// TestJournalThatCannotBeWritten: it is said once, not at each look.
func TestJournalThatCannotBeWritten(t *testing.T) {
	j := &journal{Journal: Journal{Path: filepath.Join(t.TempDir(), "absent", "x"), Size: 1 << 20}}
	one := []Line{{Event: &event.Event{}}}
	if first, second := j.write(one), j.write(one); first == nil || second != nil {
		t.Error(fmt.Sprint(first, second))
	}
}

// wary is a Guard that has decided something about a statement.
type wary struct{ Guard }

func (wary) Events(uint64) ([]event.Event, uint64) {
	return []event.Event{{Seq: 1, Kind: event.Print, Subject: "select orders", Query: "select a from orders"}}, 0
}

// TestJournalHasNoTextOfAQuery, even where texts are shown; what is in memory keeps it.
func TestJournalHasNoTextOfAQuery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	w := New(Config{Guard: wary{}, Journal: Journal{Path: path, Size: 1 << 20}})
	through := &diagnosis.Culprit{Query: "alter table orders"}
	in := &diagnosis.Incident{Number: 7, End: time.Unix(1, 0), Culprit: diagnosis.Culprit{Statement: "select orders", Query: "select a from orders", Through: through}}
	w.write([]*diagnosis.Incident{in})
	w.file.close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text); strings.Contains(got, "select a") || strings.Contains(got, "alter table") || strings.Count(got, "select orders") != 2 {
		t.Error(got)
	}
	if through.Query == "" {
		t.Error("the verdict has lost its text, too")
	}
}

// TestJournalOfTwoProcesses: while one takes the other's place both write; no line is lost or torn, no file is too large, and each one's lines are in their order.
func TestJournalOfTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	const lines, most = 200, 2000
	var all sync.WaitGroup
	for who := range 3 {
		j := &journal{Journal: Journal{Path: path, Size: most, Keep: lines}}
		all.Go(func() {
			defer j.close()
			for i := range lines {
				if err := j.write([]Line{{Event: &event.Event{Seq: uint64(i + 1), Kind: event.Limit, Subject: fmt.Sprint(who)}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	last := map[string]uint64{}
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for i := len(names) - 1; i >= 0; i-- {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		text, err := os.ReadFile(name)
		if err != nil || len(text) > most || !strings.HasSuffix(string(text), "\n") {
			t.Fatalf("%s has %d bytes: %v", name, len(text), err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			var l Line
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Event.Seq != last[l.Event.Subject]+1 {
				t.Fatalf("%s: %s: %v, behind %d", name, line, err, last[l.Event.Subject])
			}
			last[l.Event.Subject] = l.Event.Seq
		}
	}
	for who, n := range last {
		if n != lines {
			t.Errorf("of %s there are %d lines, want %d", who, n, lines)
		}
	}
}

// TestJournalGoesOnBehindATornLine: what a process could not finish spoils no line but its own.
func TestJournalGoesOnBehindATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	if err := os.WriteFile(path, []byte(`{"event":{"seq`), 0o600); err != nil {
		t.Fatal(err)
	}
	j := &journal{Journal: Journal{Path: path, Size: 1 << 20}}
	if err := j.write([]Line{{Event: &event.Event{Seq: 7}}}); err != nil {
		t.Fatal(err)
	}
	j.close()
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 2 || !strings.HasPrefix(string(text), "{\"event\":{\"seq\n{") {
		t.Errorf("got %q, %v", text, err)
	}
}
