//go:build pg && faults

package witness_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// way is a network between the guard and a server, which may become slow: what is sent arrives after delay, in order.
type way struct {
	addr  string
	delay atomic.Int64 // nanoseconds, in each direction
}

// newWay leads to an address until the test ends.
func newWay(t *testing.T, to string) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{addr: l.Addr().String()}
	var work sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, in, out)
			mu.Unlock()
			work.Go(func() { w.carry(in, out) })
			work.Go(func() { w.carry(out, in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return w
}

// parcel is what was sent at once, and when it arrives.
type parcel struct {
	bytes []byte
	due   time.Time
}

// carry carries what one end sends to the other, until one of them closes.
func (w *way) carry(from, to net.Conn) {
	parcels := make(chan parcel, 1<<10)
	var work sync.WaitGroup
	work.Go(func() {
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.bytes)
		}
		_ = to.Close()
	})
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if n > 0 {
			parcels <- parcel{buf[:n], time.Now().Add(time.Duration(w.delay.Load()))}
		}
		if err != nil {
			break
		}
	}
	close(parcels)
	work.Wait()
}
