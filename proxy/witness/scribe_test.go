package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool/event"
)

// stuck is a book on a disk that hangs until it is let go.
type stuck struct {
	goes chan struct{}
	got  []string
}

func (b *stuck) begin() error { return nil }

func (b *stuck) put(lines [][]byte, _ bool) error {
	<-b.goes
	for _, line := range lines {
		b.got = append(b.got, string(line))
	}
	return nil
}

func (b *stuck) dropped(bool) int { return 0 }

func (b *stuck) close() {}

// decisive is a guard that decides something at each look.
type decisive struct {
	Guard
	last uint64
}

func (b *decisive) Events(uint64) ([]event.Event, uint64) {
	b.last++
	return []event.Event{{Seq: b.last}}, 0
}

// told are the faults of a file that are logged.
type told struct {
	mu   sync.Mutex
	list []string
}

func (t *told) tell(err error) {
	if err != nil {
		t.mu.Lock()
		t.list = append(t.list, err.Error())
		t.mu.Unlock()
	}
}

func (t *told) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.list, "; ")
}

// TestDiskThatHangsHoldsUpNobody: the looks go on, it is said once, what there is no room for is counted, and the newest lines are written when it goes on.
func TestDiskThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, said := &stuck{goes: make(chan struct{})}, &told{}
		w := New(Config{Guard: &decisive{}, Journal: Journal{Path: "/x"}})
		w.file = newScribe(b, said.tell)
		w.file.start()
		w.write(nil, time.Now())
		synctest.Wait() // the first line is on its way to the disk
		const more = 100
		for range maxWaiting + more {
			time.Sleep(LookEvery)
			w.write(nil, time.Now()) // would never return if it waited for the disk
		}
		if got := w.Lost(); got != more {
			t.Errorf("%d lines are lost, want %d", got, more)
		}
		if got := said.String(); strings.Count(got, "it hangs") != 1 {
			t.Errorf("it is said: %s", got)
		}
		close(b.goes)
		w.file.close()
		if n := len(b.got); n != maxWaiting+1 || !strings.Contains(b.got[n-1], fmt.Sprintf(`"seq":%d,`, maxWaiting+more+1)) {
			t.Errorf("%d lines are written, the last is %s", n, b.got[n-1])
		}
		if got := said.String(); !strings.HasSuffix(got, "100 lines are lost") {
			t.Errorf("at the end it is said: %s", got)
		}
	})
}

// TestEndDoesNotWaitForADiskThatHangs for longer than the last lines are worth.
func TestEndDoesNotWaitForADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, said := &stuck{goes: make(chan struct{})}, &told{}
		s := newScribe(b, said.tell)
		s.start()
		s.add([][]byte{[]byte("one\n")}, time.Now())
		began := time.Now()
		s.close()
		if took := time.Since(began); took != lastPatience || !strings.Contains(said.String(), "the last lines are lost") {
			t.Errorf("after %s it is said: %s", took, said)
		}
		close(b.goes)
	})
}

// TestLastLinesAreTriedOnceMore: what could not be written a moment ago is tried at the end, however soon that comes.
func TestLastLinesAreTriedOnceMore(t *testing.T) {
	dir, said := filepath.Join(t.TempDir(), "absent"), &told{}
	failed := make(chan error, 10)
	path := filepath.Join(dir, "x")
	s := newScribe(&journal{Journal: Journal{Path: path, Size: 1 << 20}}, func(err error) {
		said.tell(err)
		if err != nil {
			failed <- err
		}
	})
	s.start()
	if err := <-failed; !errors.Is(err, os.ErrNotExist) { // at the beginning
		t.Fatal(err)
	}
	list, err := texts([]Line{{Event: &event.Event{Seq: 1}}, {Event: &event.Event{Seq: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	s.add(list, time.Now())
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.close()
	if got := numbers(t, path); len(got) != 2 || s.lose(0) != 0 {
		t.Errorf("got %v; %s", got, said)
	}
}

// TestLinesThatCouldNotBeWrittenAreCounted where there is no place for them to the end.
func TestLinesThatCouldNotBeWrittenAreCounted(t *testing.T) {
	said := &told{}
	s := newScribe(&journal{Journal: Journal{Path: filepath.Join(t.TempDir(), "absent", "x"), Size: 1 << 20}}, said.tell)
	s.start()
	s.add([][]byte{[]byte("one\n"), []byte("two\n")}, time.Now())
	s.close()
	if n := s.lose(0); n != 2 || !strings.HasSuffix(said.String(), "2 lines are lost") {
		t.Errorf("%d are lost; it is said: %s", n, said)
	}
}
