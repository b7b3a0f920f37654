package breaker

import "time"

// Step looks at what was reported and returns the change it led to, and the canary to send, if any. The owner calls it
// every 250 ms: more seldom makes every time of the breaker later by as much.
func (b *Breaker) Step(now time.Time, l Load) (Probe, Transition) {
	if b.probe.ID != 0 && !now.Before(b.probe.Deadline) {
		b.conclude(false)
	}
	v := b.verdict
	b.verdict = none
	switch b.state {
	case StateOpen:
		return b.stepOpen(now)
	case StateHalfOpen:
		return b.stepHalfOpen(v, now)
	}
	silent := b.stall.see(l, v, now)
	switch {
	case v == answered || !b.doubts(now):
		b.unheard = 0
	case v == failed:
		b.unheard++
	}
	if t := b.detect(silent, l, now); t.Changed() {
		return Probe{}, t
	}
	if b.state == StateRamp {
		return b.stepRamp(v, l, now)
	}
	if (silent >= b.silentLimit()/silentProbe || b.doubts(now)) && now.Sub(b.stall.asked) >= probeAgain {
		return b.ask(now), Transition{}
	}
	return Probe{}, Transition{}
}

// detect opens the breaker if what was noted says that the server is dead. Nothing that it looks at is of our own making:
// not the queue, not its waiting times, not a refusal.
func (b *Breaker) detect(silent time.Duration, l Load, now time.Time) Transition {
	sum := b.outcomes.sum(now)
	switch {
	case b.dials.Open():
		return b.open(CauseDials, now, Number{"failed_logins", float64(b.dials.failures)},
			Number{"seconds", now.Sub(b.dials.since).Seconds()})
	case sum.total() >= errorsLeast && sum.share() >= errorsShare:
		return b.open(CauseErrors, now, sum.numbers()...)
	case b.unheard >= canaryMisses:
		return b.open(CauseErrors, now, append(sum.numbers(), Number{"canaries_failed", float64(b.unheard)})...)
	case b.state == StateRamp && b.step.broken >= rampBroken && b.step.share() >= errorsShare:
		return b.open(CauseErrors, now, b.step.numbers()...)
	case silent >= b.silentLimit() && b.stall.misses >= canaryMisses:
		return b.open(CauseStall, now, Number{"silent_seconds", silent.Seconds()}, Number{"running", float64(l.Running)},
			Number{"blocked", float64(l.Blocked)}, Number{"median_seconds", b.median.Value().Seconds()},
			Number{"canaries_failed", float64(b.stall.misses)})
	}
	return Transition{}
}

// doubts is true while so many statements raise errors of a broken server that a canary must say whether it is one: what statements
// raise by themselves is no luck of others.
func (b *Breaker) doubts(now time.Time) bool {
	sum := b.outcomes.sum(now)
	return sum.total() >= errorsLeast && sum.doubtful() >= errorsShare
}

// open opens the breaker for a time that grows with each opening that follows soon.
func (b *Breaker) open(cause string, now time.Time, numbers ...Number) Transition {
	if b.state == StateClosed && (b.since.IsZero() || now.Sub(b.since) >= forgetAfter) {
		b.opened = 0
	}
	b.unheard = 0
	b.probe, b.done = Probe{}, nil // a canary under way has nothing to say any more
	if b.state != StateHalfOpen {
		if done, err := b.core.Allow(); err == nil {
			done(errCanary)
		}
	}
	// From half to one and a half of the time meant, so that many guards do not come back together; the longest
	// meant leaves room for that below openLast.
	meant := min(openFirst<<b.opened, openLast*2/3)
	wait := time.Duration(float64(meant) * (0.5 + b.random()))
	b.opened = min(b.opened+1, failuresMost)
	b.until = now.Add(wait)
	numbers = append(numbers, Number{"open_seconds", wait.Seconds()}, Number{"openings", float64(b.opened)})
	return b.move(StateOpen, cause, 0, now, numbers...)
}

// move is the only place that changes the state.
func (b *Breaker) move(to State, cause string, limit int, now time.Time, numbers ...Number) Transition {
	t := Transition{At: now, From: b.state, To: to, Limit: limit, Cause: cause, Numbers: numbers}
	if to != b.state {
		b.since = now
	}
	b.state, b.limit = to, limit
	return t
}

// stepOpen waits for the end of the open time.
func (b *Breaker) stepOpen(now time.Time) (Probe, Transition) {
	if now.Before(b.until) {
		return Probe{}, Transition{}
	}
	p := b.askCore(now)
	if p.ID == 0 {
		return Probe{}, Transition{} // core has opened within the same tick of its clock; the next Step asks again
	}
	return p, b.move(StateHalfOpen, CauseWaited, 0, now, Number{"open_seconds", now.Sub(b.since).Seconds()})
}

// stepHalfOpen sends one canary after the other until core has counted enough answers, or one that failed.
func (b *Breaker) stepHalfOpen(v verdict, now time.Time) (Probe, Transition) {
	switch {
	case v == failed:
		return Probe{}, b.open(CauseCanary, now)
	case v == answered && b.closedCore():
		b.dials, b.outcomes, b.stall = Dials{}, window{}, stall{}
		b.raised, b.step = now, tally{}
		return Probe{}, b.move(StateRamp, CauseAnswered, 1, now, Number{"canaries", canaries})
	case b.probe.ID == 0:
		return b.askCore(now), Transition{}
	}
	return Probe{}, Transition{}
}

// stepRamp doubles the limit as long as the server answers, and closes the breaker when that makes no difference any more.
func (b *Breaker) stepRamp(v verdict, l Load, now time.Time) (Probe, Transition) {
	switch v {
	case answered:
		b.step.add(Answered)
	case failed:
		return Probe{}, b.open(CauseCanary, now)
	}
	if now.Sub(b.raised) < rampEvery {
		return Probe{}, Transition{}
	}
	seen := b.step
	if seen.answered == 0 {
		if b.probe.ID != 0 {
			return Probe{}, Transition{}
		}
		return b.ask(now), Transition{} // nobody works, or everything takes long: a canary answers for them
	}
	if seen.share() >= rampShare {
		b.step = tally{answered: seen.answered / 2, broken: seen.broken / 2} // so that it can go on when they cease
		b.raised = now
		return Probe{}, Transition{}
	}
	b.raised, b.step = now, tally{}
	numbers := []Number{{"outcomes", float64(seen.total())}, {"share", seen.share()}, {"running", float64(l.Running)}}
	if 2*b.limit >= l.Full {
		return Probe{}, b.move(StateClosed, CauseRamp, 0, now, numbers...)
	}
	return Probe{}, b.move(StateRamp, CauseRamp, 2*b.limit, now, numbers...)
}

// ask returns a probe, or none if one has no answer so far.
func (b *Breaker) ask(now time.Time) Probe {
	if b.probe.ID != 0 {
		return Probe{}
	}
	b.lastID++
	b.probe = Probe{ID: b.lastID, Deadline: now.Add(canaryLimit)}
	return b.probe
}
