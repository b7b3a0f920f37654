package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// TestLogThatNobodyReadsHoldsNobodyUp: writers go on where the reader of the log does not, and the end comes.
func TestLogThatNobodyReadsHoldsNobodyUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	s := newSpool(w)
	log := slog.New(slog.NewTextHandler(s, nil))
	s.tellBy(log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50_000 {
			log.Info("client gone", "number", i)
		}
		s.close()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("who logs waits for a reader that does not read")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.lines.Len(); n > maxSpooled {
		t.Errorf("%d bytes wait", n)
	}
}

// TestLogSaysHowManyLinesWereLost: every line is written, in order, or counted.
func TestLogSaysHowManyLinesWereLost(t *testing.T) {
	r, w := io.Pipe()
	s := newSpool(w)
	log := slog.New(slog.NewTextHandler(s, nil))
	s.tellBy(log)
	const sent = 50_000
	for i := range sent {
		log.Info("client gone", "number", i)
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	s.close()
	<-s.done
	_ = w.Close()
	next, lost := 0, 0
	for line := range strings.Lines(<-read) {
		var n int
		if i := strings.Index(line, "number="); i >= 0 {
			if _, err := fmt.Sscanf(line[i:], "number=%d", &n); err != nil || n < next {
				t.Fatalf("after %d: %s", next, line)
			}
			next = n + 1
			continue
		}
		if i := strings.Index(line, "lines="); i >= 0 {
			if _, err := fmt.Sscanf(line[i:], "lines=%d", &n); err != nil {
				t.Fatal(err, line)
			}
			lost += n
		}
	}
	if lost == 0 || next+lost != sent {
		t.Errorf("%d lines were written up to number %d, and %d told to be lost, of %d", next, next-1, lost, sent)
	}
}

// TestSpoolWritesAllBeforeItCloses: nothing is left behind at an end.
func TestSpoolWritesAllBeforeItCloses(t *testing.T) {
	for range 100 {
		var out bytes.Buffer
		s := newSpool(&out)
		for i := range 10 {
			_, _ = fmt.Fprintln(s, i)
		}
		s.close()
		if got := out.String(); got != "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n" {
			t.Fatalf("%q", got)
		}
		s.close()
	}
}

// TestSettledLogIsWritten: what was handed over before is where it goes, and a place that takes nothing keeps nobody for long.
func TestSettledLogIsWritten(t *testing.T) {
	var out bytes.Buffer
	s := newSpool(&out)
	for i := range 1000 {
		_, _ = fmt.Fprintln(s, i)
		s.settle()
		if got := strings.Count(out.String(), "\n"); got != i+1 { // by the lock of settle it may be looked at
			t.Fatalf("%d lines are written, want %d", got, i+1)
		}
	}
	s.close()
	in, stuck := io.Pipe()
	s = newSpool(stuck)
	_, _ = fmt.Fprintln(s, "nobody reads this")
	began := time.Now()
	s.settle()
	if took := time.Since(began); took < settlePatience || took > 20*settlePatience {
		t.Errorf("it waits for %s", took)
	}
	_ = in.Close()
	s.close()
}
