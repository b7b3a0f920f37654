package diagnosis

import (
	"fmt"
	"time"

	"pgguard/pool/event"
)

// What somebody else must have of the server, or of its machine, to be called the cause.
const (
	foreignShare = 0.3 // of the statements that run
	foreignLeast = 1.5 // statements
	processShare = 0.3 // of the machine's processors
	machineIdle  = 0.1 // of them, at most: while more is idle nobody takes anything from anybody
	slowBy       = 1.5 // times as long as usual: less is noise
	slowByAlone  = 2.0 // where nothing but the times says that something is wrong
	newShare     = 0.3 // of the time that all take: statements of which nothing is usual are a change by themselves
	slowLeast    = 1.0 // statement at once on average: a server that has little to do is slower by a millisecond for many reasons
)

// process finds a program on the machine of PostgreSQL that takes its processors.
func process(j *Judge, s *Sight) (finding, bool) {
	m := &s.Machine
	if m.Process == "" || m.Idle > machineIdle*m.Cores || m.Used < processShare*m.Cores {
		return finding{}, false
	}
	list, _ := j.recents()
	slow := j.usual.slowdown(list, 0)
	waiting, _ := s.waiting()
	if slow < slowBy && waiting == 0 && s.Guard.Lag < guardLate {
		return finding{}, false // it takes what nobody else wants
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = Strangers, "process", 0.9
	f.Culprit.Process, f.Culprit.PID = shown(m.Process), m.PID
	who := inQuotes(f.Culprit.Process)
	f.Sentence = fmt.Sprintf("%s (process %d), which is not PostgreSQL, takes %s of this machine's %s, and leaves PostgreSQL %s.",
		who, m.PID, digits(m.Used), count(int(m.Cores+0.5), "core"), digits(m.Database))
	f.Advice = fmt.Sprintf("Move %s to another machine, or give it less (nice, a CPU limit).", who)
	f.Evidence = event.Of(event.Number{Name: "process_cores", Value: m.Used}, event.Number{Name: "cores", Value: m.Cores},
		event.Number{Name: "database_cores", Value: m.Database}, event.Number{Name: "guard_cores", Value: m.Guard},
		event.Number{Name: "slowdown", Value: slow}, event.Number{Name: "waiting", Value: float64(waiting)}, event.Number{Name: "late_seconds", Value: s.Guard.Lag.Seconds()})
	return f, true
}

// others finds connections of anybody else's that leave too few.
func others(j *Judge, s *Sight) (finding, bool) {
	left := s.Most - s.Others
	waiting, oldest := s.waiting()
	lacks := waiting > 0 && s.Cap-s.Lent <= s.Cap/10 // who waits with servers to spare waits for a run token
	short := 4*left <= s.Most && (2*(s.Lent+s.Idle) >= left || j.usual.grown(s))
	if !s.Sampled || s.Most == 0 || 2*s.Others < s.Most || !lacks && !short {
		return finding{}, false // enough is left
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = CapReached, "connections", 0.9
	f.Culprit.Application, f.Culprit.Client = shown(s.OtherParty.Application), shown(s.OtherParty.Client)
	who := inQuotes(f.Culprit.Application)
	if who == "" {
		who = "somebody without an application_name"
	}
	from := ""
	if f.Culprit.Client != "" {
		from = " at " + f.Culprit.Client
	}
	f.Sentence = fmt.Sprintf("Others hold %d of the %d connections that PostgreSQL allows, %s%s alone %d; pgguard has the %d that are left",
		s.Others, s.Most, who, from, s.OtherParty.Count, max(0, left))
	if waiting > 0 {
		f.Sentence += fmt.Sprintf(", and %s %s for up to %s", count(waiting, "statement"), verb(waiting, "waits", "wait"), span(oldest))
	}
	f.Sentence += "."
	f.Advice = fmt.Sprintf("Bound the pool of %s, or have it come through pgguard; raising max_connections only moves the wall.", who)
	f.Evidence = event.Of(event.Number{Name: "others", Value: float64(s.Others)}, event.Number{Name: "connections", Value: float64(s.Most)},
		event.Number{Name: "of_culprit", Value: float64(s.OtherParty.Count)}, event.Number{Name: "cap", Value: float64(s.Cap)},
		event.Number{Name: "waiting", Value: float64(waiting)})
	return f, true
}

// foreign finds statements of anybody else's that take the server.
func foreign(j *Judge, s *Sight) (finding, bool) {
	theirs := j.mean(func(s *Sight) float64 { return float64(s.Foreign) })
	ours := j.mean(func(s *Sight) float64 { return float64(s.Waits.CPU + s.Waits.IO + s.Waits.LWLock + s.Peers) })
	share := theirs / max(1, theirs+ours)
	if theirs < foreignLeast || share < foreignShare {
		return finding{}, false
	}
	waiting, _ := s.waiting()
	list, _ := j.recents()
	slow := j.usual.slowdown(list, 0)
	if waiting == 0 && slow < slowBy {
		return finding{}, false // there is room for both
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = Strangers, "foreign_statements", min(0.95, 0.5+share/2)
	f.Culprit.Application, f.Culprit.Client, f.Culprit.PID = shown(s.Stranger.Application), shown(s.Stranger.Client), int(s.Stranger.PID)
	who := inQuotes(f.Culprit.Application)
	if who == "" {
		who = "somebody without an application_name"
	}
	f.Sentence = fmt.Sprintf("Load from outside this fleet has taken about %s of the server since %s: %s of %s beside %s of ours.",
		percent(share), clock(j.since("foreign_statements")), count(int(theirs+0.5), "statement"), who, digits(ours))
	f.Advice = fmt.Sprintf("Have %s come through pgguard as a class of its own, or run it when there is room.", who)
	f.Evidence = event.Of(event.Number{Name: "foreign", Value: theirs}, event.Number{Name: "ours", Value: ours}, event.Number{Name: "share", Value: share},
		event.Number{Name: "slowdown", Value: slow}, event.Number{Name: "waiting", Value: float64(waiting)})
	return f, true
}

// slower finds that everything takes longer although nothing of ours and of others in the server has changed.
func slower(j *Judge, s *Sight) (finding, bool) {
	list, calls := j.recents()
	r := heaviest(list)
	if r == nil {
		return finding{}, false
	}
	slow := j.usual.slowdown(list, r.Fingerprint) // of one kind alone it cannot be told
	if slow < slowByAlone || j.usual.slowness(r) > slowOther*slow || j.usual.unknown(list) >= newShare {
		return finding{}, false
	}
	rate := calls / max(1, j.length())
	waits := j.mean(func(s *Sight) float64 { return float64(s.Waits.Lock + s.Waits.LWLock) })
	theirs := j.mean(func(s *Sight) float64 { return float64(s.Foreign) })
	running := j.mean(func(s *Sight) float64 { return float64(s.Running) })
	if rate > 0.9*j.usual.rate || waits > running/4 || theirs >= 1 || running < slowLeast {
		return finding{}, false // more comes, or it is something else
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = Strangers, "slower_machine", 0.6
	f.Sentence = fmt.Sprintf("Since %s the same statements take %s times as long, though no more of them come, hardly any waits for a lock and nobody else's run: something outside PostgreSQL takes its machine.",
		clock(j.since("slower_machine")), digits(slow))
	f.Advice = "Look at the machine of PostgreSQL: its processors (steal time, other programs), its disk, a limit of its provider's (burst credits)."
	f.Evidence = event.Of(event.Number{Name: "slowdown", Value: slow}, event.Number{Name: "statements_per_second", Value: rate},
		event.Number{Name: "usual_per_second", Value: j.usual.rate}, event.Number{Name: "running", Value: running})
	return f, true
}

// since is since when a cause has been seen, now if it has not.
func (j *Judge) since(c cause) time.Time {
	if at, known := j.begun[c]; known {
		return at
	}
	return j.last().At
}
