package witness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/sock"
)

// Journal is a file for decisions and incidents, a line of JSON each. Once it is larger than Size it becomes PATH.1, that PATH.2 and so on, and a
// new one begins; Keep old ones are kept. Several processes may write the same one, as two do while one takes the other's place: each lines of its own, one process at a time.
type Journal struct {
	Path string
	Size int64 // bytes
	Keep int
}

// Line is one line of the file: a decision, or an incident that is over.
type Line struct {
	Event    *event.Event        `json:"event,omitempty"`
	Incident *diagnosis.Incident `json:"incident,omitempty"`
}

const (
	// retryEvery is how soon after a failure the file is tried again.
	retryEvery = 10 * time.Second
	// maxWaiting bounds the lines that wait for that, the newest: those of a night in which a disk was full. They have a few hundred bytes each.
	maxWaiting = 2000
)

// journal writes a Journal. It belongs to one goroutine, the scribe's, which a slow disk holds up, and nobody else.
type journal struct {
	Journal
	file    *os.File
	size    int64
	failed  time.Time
	waiting [][]byte // lines that are not in the file yet
	lost    int      // lines that have been dropped
}

// begin opens the file before there is anything to write: what is wrong with it is better known before an incident than after.
func (j *journal) begin() error { return j.told(j.held(func() error { return nil })) }

// put appends the lines, after those that could not be written before. After a failure it does not try, and says so no more, until retryEvery is over, or if it is the last time.
func (j *journal) put(lines [][]byte, last bool) error {
	j.waiting = append(j.waiting, lines...)
	over := max(0, len(j.waiting)-maxWaiting)
	j.waiting, j.lost = j.waiting[over:], j.lost+over
	if len(j.waiting) == 0 || time.Since(j.failed) < retryEvery && !last {
		return nil
	}
	return j.told(j.held(j.append))
}

// dropped implements book.
func (j *journal) dropped(last bool) int {
	n := j.lost
	if j.lost = 0; last {
		n += len(j.waiting)
	}
	return n
}

// texts are lines as they stand in the file. The error is about those that cannot be, and are left out.
func texts(lines []Line) (list [][]byte, err error) {
	for i := range lines {
		text, never := json.Marshal(&lines[i])
		if never != nil {
			err = errors.Join(err, never)
			continue
		}
		list = append(list, append(text, '\n'))
	}
	return list, err
}

// told remembers a failure.
func (j *journal) told(err error) error {
	if j.failed = (time.Time{}); err != nil {
		j.failed = time.Now()
		j.close()
	}
	return err
}

// append writes what waits to the file, to a new one if it would become too large: all of it, or, with an error, nothing. It is called with the file held.
func (j *journal) append() error {
	text := bytes.Join(j.waiting, nil)
	if j.size > 0 && j.size+int64(len(text)) > j.Size {
		if err := j.rotate(); err != nil {
			return err
		}
	}
	n, err := j.file.Write(text)
	if err != nil && n > 0 {
		err = errors.Join(err, j.file.Truncate(j.size))
		return err
	}
	j.size += int64(n)
	if err == nil {
		j.waiting = nil
	}
	return err
}

// held does something with the file while no other process can.
func (j *journal) held(do func() error) error {
	if err := j.hold(); err != nil {
		return err
	}
	defer func() {
		if j.file != nil {
			sock.Unlock(j.file)
		}
	}()
	return do()
}

// hold has the file open, and keeps other processes from it until it is unlocked. A line that one of them has not finished ends there.
func (j *journal) hold() error {
	for {
		if err := j.open(); err != nil {
			return err
		}
		if err := sock.Lock(j.file); err != nil {
			return err
		}
		about, err := j.file.Stat()
		if err == nil && !about.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a file", j.Path)
		}
		if err != nil {
			j.close()
			return err
		}
		if now, err := os.Stat(j.Path); err == nil && os.SameFile(now, about) {
			return j.heal(about)
		}
		j.close() // another process has put it aside
	}
}

// heal has the file end in a whole line, if somebody has written to it since this process did.
func (j *journal) heal(about fs.FileInfo) error {
	if about.Size() == j.size {
		return nil
	}
	j.size = about.Size()
	last := []byte{'\n'}
	if _, err := j.file.ReadAt(last, j.size-1); j.size > 0 && err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	n, err := j.file.Write([]byte{'\n'})
	j.size += int64(n)
	return err
}

// open opens the file if it is not open, or if another is at its place by now. Only its owner may read it: it names applications and addresses.
func (j *journal) open() error {
	if j.file != nil {
		there, gone := os.Stat(j.Path)
		mine, err := j.file.Stat()
		if gone == nil && err == nil && os.SameFile(there, mine) {
			return nil
		}
		j.close() // somebody has moved or removed it
	}
	f, err := os.OpenFile(j.Path, os.O_CREATE|os.O_APPEND|os.O_RDWR|syscall.O_NONBLOCK, 0o600) // else a pipe would wait for its reader
	if err != nil {
		return err
	}
	j.file, j.size = f, 0
	return nil
}

// rotate puts the file aside and begins a new one. It is called with the file locked, and so is the new one then.
func (j *journal) rotate() error {
	old := j.file
	defer func() { _ = old.Close() }() // which unlocks it
	j.file = nil
	for i := j.Keep; i > 0; i-- {
		from := j.Path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", j.Path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", j.Path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if j.Keep == 0 {
		if err := os.Remove(j.Path); err != nil {
			return err
		}
	}
	return j.hold()
}

// close closes the file, if it is open.
func (j *journal) close() {
	if j.file != nil {
		_ = j.file.Close() // each write has told what was wrong
		j.file = nil
	}
}
