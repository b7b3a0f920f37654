package instance

import (
	"math/rand/v2"
	"sync"
	"testing"

	"pgguard/pool/limit"
)

// Every fingerprint that comes again has one number, whoever asks, and no two share one but 0.
func TestPrintsAreTheirOwn(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var all []uint64
	for range 200 {
		all = append(all, r.Uint64()|1)
	}
	var p Prints
	got := make([][]uint16, 4)
	var work sync.WaitGroup
	for g := range got {
		work.Go(func() {
			for range 3 {
				got[g] = got[g][:0]
				for _, f := range all {
					got[g] = append(got[g], p.Index(f))
				}
			}
		})
	}
	work.Wait()
	owners, numbered := map[uint16]int{}, 0
	for i, f := range all {
		n := p.Index(f)
		if n >= limit.Fingerprints {
			t.Fatalf("number %d", n)
		}
		if n == 0 {
			continue
		}
		numbered++
		if other, taken := owners[n]; taken {
			t.Errorf("%d and %d share number %d", other, i, n)
		}
		owners[n] = i
		for g := range got {
			if m := got[g][i]; m != n && m != 0 {
				t.Errorf("fingerprint %d was %d and is %d", i, m, n)
			}
		}
	}
	if numbered < 190 {
		t.Errorf("only %d of %d have a number", numbered, len(all))
	}
}

// Statements that never come again do not take the last numbers, and looking one up costs no memory.
func TestPrintsAreNotTakenByStatementsThatComeOnce(t *testing.T) {
	var p Prints
	for f := range uint64(100_000) {
		p.Index(f*0x9e3779b97f4a7c15 + 7)
	}
	if n := p.taken.Load(); n > limit.Fingerprints*2/3 {
		t.Errorf("%d numbers are taken by statements that came once", n)
	}
	if p.Index(0) != 0 {
		t.Error("an unknown fingerprint has a number")
	}
	p.Index(99)
	if n := testing.AllocsPerRun(1000, func() { p.Index(99) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
