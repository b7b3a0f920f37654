package sock

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// Deeds say of things that two processes could both have whose each is: of whoever takes its deed first, whatever becomes of that process. They are memory that both
// have, so that nothing which is on its way between the processes, and nobody who has stopped, decides. Any goroutine may call the methods.
type Deeds struct {
	mu  sync.RWMutex
	mem []byte // guarded by mu; nil: closed
}

// MostDeeds is how many there are. It is more than a process has clients; they take 4 MiB.
const MostDeeds = 1 << 20

// deedSize is what one takes: the least that every processor changes at once.
const deedSize = 4

// Take is true for the first who asks for this one, in either process, and false for everybody after. One that there is not is nobody's.
func (d *Deeds) Take(i uint64) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.mem == nil || i >= MostDeeds {
		return false
	}
	return (*atomic.Uint32)(unsafe.Pointer(&d.mem[i*deedSize])).CompareAndSwap(0, 1)
}
