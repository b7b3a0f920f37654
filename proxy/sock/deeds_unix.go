//go:build unix

package sock

import (
	"errors"
	"os"
	"syscall"
)

// NewDeeds returns deeds that nobody has taken, and the file by which another process opens them, which is the caller's.
func NewDeeds() (*Deeds, *os.File, error) {
	f, err := os.CreateTemp("/dev/shm", "pgguard-") // which is there, and may be written to, where a container's disk may not
	if err != nil {
		f, err = os.CreateTemp("", "pgguard-")
	}
	if err != nil {
		return nil, nil, err
	}
	err = os.Remove(f.Name())
	if err == nil { // written, and not only made long: where there is no room for them later, who takes one would die (SIGBUS)
		_, err = f.Write(make([]byte, MostDeeds*deedSize))
	}
	var d *Deeds
	if err == nil {
		d, err = openDeeds(f)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return d, f, nil
}

// OpenDeeds returns the deeds of another process, and closes the file by which they came.
func OpenDeeds(f *os.File) (*Deeds, error) {
	d, err := openDeeds(f)
	return d, errors.Join(err, f.Close())
}

func openDeeds(f *os.File) (*Deeds, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != MostDeeds*deedSize {
		return nil, errors.New("what came as deeds are none")
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, MostDeeds*deedSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &Deeds{mem: mem}, nil
}

// Close gives the memory back: from then on nothing can be taken here.
func (d *Deeds) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mem != nil {
		_ = syscall.Munmap(d.mem) // it is what Mmap has returned
		d.mem = nil
	}
}
