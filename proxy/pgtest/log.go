package pgtest

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// logPath is the file that initdb and the server write to. A file, unlike a pipe, never makes the server wait for
// its reader.
func (c *Cluster) logPath() string { return filepath.Join(c.dir, "log") }

// LogTail returns the last n lines of the server's log; it is empty once the cluster has been stopped.
func (c *Cluster) LogTail(n int) string { return lastLines(c.logSince(0), n) }

// logSize is how long the log is, in bytes; 0 if there is none.
func (c *Cluster) logSize() int64 {
	info, err := os.Stat(c.logPath())
	if err != nil {
		return 0
	}
	return info.Size()
}

// logSince returns the log from byte from on, at most the last 256 KiB of it; empty if there is none.
func (c *Cluster) logSince(from int64) string {
	const most = 256 << 10
	f, err := os.Open(c.logPath())
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	from = max(from, c.logSize()-most)
	b, _ := io.ReadAll(io.NewSectionReader(f, from, most)) // what could be read is all there is to show
	return string(b)
}

// lastLines returns the last n lines of text, without the final newline.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// follower copies a growing file to a writer, from one goroutine, until it is stopped.
type follower struct {
	quit, done chan struct{}
}

// startFollower begins to copy the file, which need not exist yet. stop ends its goroutine.
func startFollower(path string, w io.Writer) *follower {
	f := &follower{quit: make(chan struct{}), done: make(chan struct{})}
	go f.run(path, w)
	return f
}

// stop copies what is left and returns when the goroutine has ended. A file removed meanwhile is still read to its
// end if it had been opened.
func (f *follower) stop() {
	close(f.quit)
	<-f.done
}

func (f *follower) run(path string, w io.Writer) {
	defer close(f.done)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var file *os.File
	for last := false; ; {
		if file == nil {
			file, _ = os.Open(path) // it appears when the first program starts
		}
		if file != nil {
			if _, err := io.Copy(w, file); err != nil { // the writer has had enough
				w = io.Discard
			}
		}
		if last {
			break
		}
		select {
		case <-f.quit:
			last = true
		case <-tick.C:
		}
	}
	if file != nil {
		_ = file.Close()
	}
}
