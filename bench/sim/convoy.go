package sim

import (
	"pgguard/pool"
	"pgguard/pool/queue"
)

// convoys are the groups most of whose first statements wait for a lock, as the proxy finds them (proxy/instance) and the pool bounds them
// (pool.SetConvoy). Those of a group that begins with statements of many fingerprints are too few of each.
type convoys struct {
	running [queue.Lanes]int // first statements
	bound   [queue.Lanes]int // 0: none
	long    [queue.Lanes]int // samples in a row
}

// room says whether one more of a group may begin at this limit.
func (c *convoys) room(group, limit int) bool {
	return c.bound[group] == 0 || c.running[group] < max(c.bound[group], limit/4)
}

// lane is where a session waits.
func (c *sidecar) lane(s *session) uint8 {
	if g := int(s.group); c.convoys.bound[g] > 0 && c.m.law.Line == InTime && queue.FirstOwn+g < queue.Lanes {
		return uint8(queue.FirstOwn + g)
	}
	return queue.Common
}

// alike says whether all of a session's group begin with the same statement.
func (m *sim) alike(s *session) bool {
	if s.group < 0 {
		return false
	}
	first := &m.work(s)[0]
	return first.First == first.Last
}

// settleConvoys is what the side channel's sample makes of the statements that run.
func (c *sidecar) settleConvoys() {
	var running, blockedNow [queue.Lanes]int
	for _, s := range c.m.all {
		if s.car == c.id && s.running && s.step == 0 && c.m.alike(s) {
			running[s.group]++
			if s.state == blocked {
				blockedNow[s.group]++
			}
		}
	}
	changed := false
	for g := range c.m.groups {
		v := &c.convoys
		was := v.bound[g]
		switch n, waits := running[g], blockedNow[g]; {
		case n >= 3 && 2*waits >= n:
			if v.long[g]++; v.long[g] >= 2 {
				v.bound[g] = pool.ConvoyCap(n - waits)
			}
		case was > 0 && 4*waits < n || was > 0 && n == 0:
			v.long[g] = 0
			if v.bound[g]++; v.bound[g] > 16 {
				v.bound[g] = 0
			}
		default:
			v.long[g] = 0
		}
		changed = changed || (was > 0) != (v.bound[g] > 0)
	}
	if changed {
		c.queue.Sort(func(w *queue.Waiter[*session]) uint8 { return c.lane(w.Value) })
	}
}
