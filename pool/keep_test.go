package pool_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pgguard/pool"
)

// kept is how many run tokens of a limit are for interactive work.
func kept(limit int) int {
	if limit < 2 {
		return 0
	}
	return max(1, limit/10)
}

// jobs returns n clients of the low class.
func (h *harness) jobs(prefix string, n int) []*client {
	all := h.many(prefix, n)
	for _, c := range all {
		c.low()
	}
	return all
}

// TestInteractiveWorkFindsATokenFree: a surge of long reports beside pages. It has the whole limit where there are no pages.
func TestInteractiveWorkFindsATokenFree(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 4, 8, 30} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			in(t, mixed(120), limit, func(t *testing.T, h *harness) {
				reports := h.jobs("report", 100)
				h.get(reports...)
				if n := served(reports); n != limit {
					t.Fatalf("%d reports run where nobody else works, want the limit of %d", n, limit)
				}
				page := h.client("page")
				h.get(page) // the first one waits: nobody knew of it
				h.release(reports[0])
				if page.has().Server == nil {
					t.Fatal("the first page waits beside a token that is free")
				}
				h.release(page)
				for _, c := range reports[1 : limit+1] { // reports end and others take their place
					if c.has().Server != nil {
						h.release(c)
					}
				}
				if n := served(reports); n != limit-kept(limit) {
					t.Errorf("%d reports run beside pages at a limit of %d, want %d", n, limit, limit-kept(limit))
				}
				for range 3 {
					pass(5 * time.Second)
					if h.get(page); limit > 1 && page.has().Server == nil {
						t.Fatal("a page waits though a token is kept for pages")
					}
					if page.has().Server != nil {
						h.release(page)
					} else {
						h.Withdraw(&page.Waiter)
					}
				}
				pass(11 * time.Second)
				if n := served(reports); n != limit {
					t.Errorf("%d reports run long after the last page, want the limit of %d", n, limit)
				}
			})
		})
	}
}

// TestKeptTokenIsNoLackOfServers: jobs that wait beside a token kept for others wait for the limit, which the law must be told; and no
// server is closed or opened for them.
func TestKeptTokenIsNoLackOfServers(t *testing.T) {
	in(t, mixed(4), 3, func(t *testing.T, h *harness) {
		page := h.client("page").as("web")
		h.get(page)
		h.release(page)
		reports := h.jobs("report", 10)
		h.get(reports...)
		h.Account(time.Now())
		pass(time.Second)
		if w := h.Account(time.Now()); w.Bound < 0.99 {
			t.Errorf("the limit has bound for %.2f s of a second", w.Bound)
		}
		h.expect(0, 1, 2, 0) // that of the pages is left alone
		for range 6 {
			pass(5 * time.Second)
			h.get(page)
			h.release(page)
		}
		pass(time.Second)
		var r *pool.RefusedError
		if err := reports[9].refused(); !errors.As(err, &r) || r.Lack != pool.LackToken {
			t.Errorf("a report that waited in vain beside the kept token was told %v", err)
		}
	})
}

// TestBlockedJobsKeepATokenFree: jobs that wait for a lock are given their tokens back, and still leave the kept one.
func TestBlockedJobsKeepATokenFree(t *testing.T) {
	in(t, mixed(40), 8, func(t *testing.T, h *harness) {
		page := h.client("page")
		h.get(page)
		h.release(page)
		h.SetBlocked(4, time.Now())
		reports := h.jobs("report", 30)
		h.get(reports...)
		if n := served(reports); n != 8-1+4 {
			t.Errorf("%d reports run with four of them blocked at a limit of 8, want 11", n)
		}
		if h.get(page); page.has().Server == nil {
			t.Error("a page waits")
		}
	})
}

// TestKeptTokensInAnyStory: whatever is asked and given back, pages have their tokens, and of all tokens no more stand idle than are kept.
func TestKeptTokensInAnyStory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 24).Draw(rt, "limit")
		var fault string
		var stopped any
		synctest.Test(t, func(t *testing.T) {
			run(t, mixed(80), limit, false, func(_ *testing.T, h *harness) {
				defer func() { stopped = recover() }()
				fault = keptStory(rt, h, limit)
			})
		})
		if stopped != nil {
			panic(stopped)
		}
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

func keptStory(rt *rapid.T, h *harness, limit int) string {
	pages, jobs := h.many("page", 8), h.jobs("job", 40)
	all := append(append([]*client{}, pages...), jobs...)
	waits := map[*client]bool{}
	seen, granted := time.Time{}, 0 // when a page was asked for or done last, and how many jobs ran before
	for range rapid.IntRange(1, 40).Draw(rt, "steps") {
		c := all[rapid.IntRange(0, len(all)-1).Draw(rt, "who")]
		switch rapid.SampledFrom([]string{"ask", "ask", "leave", "pass", "many"}).Draw(rt, "act") {
		case "ask":
			if c.has().Server == nil && !waits[c] {
				waits[c] = true
				h.get(c)
			}
		case "many":
			for _, c := range jobs {
				if c.has().Server == nil && !waits[c] {
					waits[c] = true
					h.get(c)
				}
			}
		case "leave":
			if c.has().Server != nil {
				h.release(c)
			}
		case "pass":
			pass(time.Duration(rapid.IntRange(1, 4000).Draw(rt, "ms")) * time.Millisecond)
		}
		page, job, wait := 0, 0, [2]int{}
		recent := !seen.IsZero() && time.Since(seen) < 9*time.Second
		for _, c := range all {
			if c.has().Server != nil || c.refused() != nil {
				delete(waits, c)
			}
			switch {
			case c.has().Server != nil && c.Class == 0:
				page++
			case c.has().Server != nil:
				job++
			case waits[c]:
				wait[c.Class]++
			}
			if c.Class == 0 && (c.has().Server != nil || waits[c]) {
				seen = time.Now()
			}
		}
		if recent && job > granted && job > limit-kept(limit) && page+job > limit-kept(limit) {
			return fmt.Sprintf("job %d of %d beside %d pages, at a limit of %d", job, granted, page, limit)
		}
		granted = job
		switch free := limit - page - job; {
		case wait[0] > 0 && free > 0:
			return fmt.Sprintf("%d pages wait, %d tokens of %d are free", wait[0], free, limit)
		case wait[1] > 0 && free > kept(limit):
			return fmt.Sprintf("%d jobs wait, %d tokens of %d are free", wait[1], free, limit)
		case wait[1] > 0 && free > 0 && time.Since(seen) > 11*time.Second:
			return fmt.Sprintf("%d jobs wait beside %d free tokens though nobody has seen a page for long", wait[1], free)
		}
	}
	return ""
}
