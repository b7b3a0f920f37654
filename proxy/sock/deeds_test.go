//go:build unix

package sock

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// TestDeedIsTakenOnce: of all who take a deed, here and by another opening of the memory, one has it.
func TestDeedIsTakenOnce(t *testing.T) {
	ours, f, err := NewDeeds()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := OpenDeeds(f)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	var all sync.WaitGroup
	var taken [100]atomic.Int32
	for _, d := range []*Deeds{ours, theirs, ours, theirs} {
		all.Go(func() {
			for i := range taken {
				if d.Take(uint64(i)) {
					taken[i].Add(1)
				}
			}
		})
	}
	all.Wait()
	for i := range taken {
		if n := taken[i].Load(); n != 1 {
			t.Errorf("%d have deed %d", n, i)
		}
	}
	if !ours.Take(MostDeeds-1) || theirs.Take(MostDeeds-1) || ours.Take(MostDeeds) || ours.Take(1<<63) {
		t.Error("the last is no deed, or one behind it is")
	}
	theirs.Close()
	theirs.Close()
	if theirs.Take(200) || !ours.Take(200) {
		t.Error("closed deeds are taken, or those of the other side are not")
	}
}

// TestDeedsAreNotTakenOnTrust: what another process sends in their place is refused, before it is touched.
func TestDeedsAreNotTakenOnTrust(t *testing.T) {
	short, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{short, dir} {
		if d, err := OpenDeeds(f); err == nil {
			d.Close()
			t.Errorf("%s is taken for deeds", f.Name())
		}
	}
}
