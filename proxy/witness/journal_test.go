package witness

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

// numbers are those of the events in a file, which must have nothing but whole lines.
func numbers(t *testing.T, path string) (list []uint64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var l Line
		if err := json.Unmarshal([]byte(line), &l); err == nil && l.Event != nil {
			list = append(list, l.Event.Seq)
		}
	}
	return list
}

// write puts lines into the file.
func (j *journal) write(lines []Line) error {
	list, err := texts(lines)
	return errors.Join(err, j.put(list, false))
}

// again writes an event of this number, as if retryEvery were over.
func (j *journal) again(n uint64) error {
	j.failed = time.Time{}
	return j.write([]Line{{Event: &event.Event{Seq: n}}})
}

// TestJournalKeepsWhatCannotBeWrittenYet: once there is a place again, all of it is there, in order; but not without bound.
func TestJournalKeepsWhatCannotBeWrittenYet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent")
	j := &journal{Journal: Journal{Path: filepath.Join(dir, "x"), Size: 1 << 20}}
	defer j.close()
	for n := range uint64(maxWaiting + 10) {
		if err := j.again(n); err == nil {
			t.Fatal("there is no place yet")
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := j.again(maxWaiting + 10); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, j.Path); len(got) != maxWaiting || got[0] != 11 || got[maxWaiting-1] != maxWaiting+10 {
		t.Errorf("%d lines, from %d to %d", len(got), got[0], got[len(got)-1])
	}
}

// TestJournalGoesOnInANewLine after one that was cut off.
func TestJournalGoesOnInANewLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte(`{"event":{"seq":1,"ki`), 0o600); err != nil {
		t.Fatal(err)
	}
	j := &journal{Journal: Journal{Path: path, Size: 1 << 20}}
	defer j.close()
	if err := j.again(2); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, path); len(got) != 1 || got[0] != 2 {
		t.Errorf("got %v", got)
	}
}

// TestJournalFollowsItsName: a file that is moved or removed is not written to any more.
func TestJournalFollowsItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	j := &journal{Journal: Journal{Path: path, Size: 1 << 20}}
	defer j.close()
	for n, away := range []func() error{func() error { return os.Rename(path, path+".old") }, func() error { return os.Remove(path) }, func() error { return nil }} {
		if err := j.again(uint64(n)); err != nil {
			t.Fatal(err)
		}
		if got := numbers(t, path); len(got) != 1 || got[0] != uint64(n) {
			t.Errorf("%d: got %v", n, got)
		}
		if err := away(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournalSaysAtTheStartThatItCannotBe: before the first incident, and without waiting for a pipe's reader.
func TestJournalSaysAtTheStartThatItCannotBe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir, filepath.Join(dir, "absent", "x"), os.DevNull} {
		j := &journal{Journal: Journal{Path: path, Size: 1 << 20}}
		if err := j.begin(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	fine := &journal{Journal: Journal{Path: filepath.Join(dir, "x"), Size: 1 << 20}}
	if err := fine.begin(); err != nil {
		t.Error(err)
	}
	fine.close()
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
	w.file.start()
	w.write([]*diagnosis.Incident{in}, time.Now())
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

// TestJournalHoldsTheFileThatItBegins: no other process writes to it, or puts it aside, before this one has written what it was begun for.
func TestJournalHoldsTheFileThatItBegins(t *testing.T) {
	j := &journal{Journal: Journal{Path: filepath.Join(t.TempDir(), "x"), Size: 1, Keep: 1}}
	defer j.close()
	err := j.held(func() error {
		if err := j.rotate(); err != nil {
			return err
		}
		other, err := os.Open(j.Path)
		if err != nil {
			return err
		}
		defer func() { _ = other.Close() }()
		if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
			t.Errorf("another opening of the file gets its lock: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
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
