package sql

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCacheSaysWhatScanSays asks from several goroutines, with a cache so small that texts push each other out.
func TestCacheSaysWhatScanSays(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var texts [][]byte
	for i := range 64 {
		for _, bm := range benchmarkTexts[:8] {
			texts = append(texts, fmt.Appendf(nil, "%s -- %d", bm.text, i))
		}
	}
	c := NewCache(64)
	var all sync.WaitGroup
	for worker := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, worker))
			for range 20_000 {
				text := texts[min(r.IntN(len(texts)), r.IntN(len(texts)))]
				if got, want := c.Scan(text), Scan(text); got != want {
					t.Errorf("%q is %s, want %s", text, describe(got), describe(want))
					return
				}
			}
		})
	}
	all.Wait()
}

func TestCacheKnowsATextThatCameTwice(t *testing.T) {
	c := NewCache(16)
	for _, bm := range benchmarkTexts[:8] {
		text := []byte(bm.text)
		c.Scan(text)
		c.Scan(text)
		if n := testing.AllocsPerRun(20, func() { c.Scan(text) }); n != 0 {
			t.Errorf("%s allocates %v times", bm.name, n)
		}
		if !c.knows(text) {
			t.Errorf("%s came twice and is not known", bm.name)
		}
		clear(text) // the cache has a copy of its own
		if c.Scan([]byte(bm.text)) != Scan([]byte(bm.text)) {
			t.Errorf("%s is known by a buffer that was changed", bm.name)
		}
	}
}

// knows reports whether text is in the cache.
func (c *Cache) knows(text []byte) bool {
	for i := range c.sets {
		for j := range c.sets[i].ways {
			if e := c.sets[i].ways[j].Load(); e != nil && string(e.text) == string(text) {
				return true
			}
		}
	}
	return false
}

// TestCacheIsNotFilledByTextsThatComeOnce keeps what is in use while a stream of others passes.
func TestCacheIsNotFilledByTextsThatComeOnce(t *testing.T) {
	c := NewCache(256)
	hot := []byte("SELECT * FROM users WHERE id = $1")
	c.Scan(hot)
	c.Scan(hot)
	for i := range 10_000 {
		c.Scan(fmt.Appendf(nil, "SELECT * FROM users WHERE id = %d", i))
	}
	held := 0
	for i := range c.sets {
		for j := range c.sets[i].ways {
			if c.sets[i].ways[j].Load() != nil {
				held++
			}
		}
	}
	if held != 1 || !c.knows(hot) {
		t.Errorf("%d texts are held, want the one that came twice", held)
	}
}

// TestCacheIsBounded brings every text twice, and long ones.
func TestCacheIsBounded(t *testing.T) {
	c := NewCache(100)
	for i := range 2000 {
		text := fmt.Appendf(nil, "SELECT %d", i)
		c.Scan(text)
		c.Scan(text)
	}
	held := 0
	for i := range c.sets {
		for j := range c.sets[i].ways {
			if c.sets[i].ways[j].Load() != nil {
				held++
			}
		}
	}
	if held == 0 || held > 128 {
		t.Errorf("a cache for 100 texts holds %d", held)
	}
	long := []byte("SELECT " + strings.Repeat("x", cacheText))
	c.Scan(long)
	c.Scan(long)
	if c.knows(long) {
		t.Errorf("a text of %d bytes is held", len(long))
	}
}
