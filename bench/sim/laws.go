package sim

import (
	"fmt"
	"math"
	"time"

	"pgguard/pool/limit"
)

// Static is a limit that an operator chose.
func Static(n int) Law {
	return Law{Name: fmt.Sprintf("static %d", n), New: func(int, uint64) limit.Limit { return limit.Frozen(n) }}
}

// AIMD is the law of limit.AIMD, with other constants if change is not nil.
func AIMD(name string, change func(*limit.Tuning)) Law {
	return Law{Name: name, New: func(first int, _ uint64) limit.Limit {
		t := limit.Defaults()
		if change != nil {
			change(&t)
		}
		return limit.NewAIMD(limit.Config{First: first, Tuning: &t})
	}}
}

// Mutants are laws with one thing wrong. Each must be found out by at least one scenario, or the scenarios prove nothing.
func Mutants() []Law {
	queued := AIMD("QueueInTxn", nil)
	queued.InTxn = true
	old := AIMD("OldQueue", nil)
	old.Line = Hasty
	return []Law{
		{Name: "Frozen", New: func(int, uint64) limit.Limit { return limit.Frozen(limit.DefaultLimit) }},
		{Name: "AlwaysMax", New: func(int, uint64) limit.Limit { return limit.Frozen(1000) }},
		{Name: "AlwaysMin", New: func(int, uint64) limit.Limit { return limit.Frozen(1) }},
		{Name: "InvertedSign", New: func(first int, _ uint64) limit.Limit {
			return &inverted{limit.NewAIMD(limit.Config{First: first})}
		}},
		AIMD("NoVerify", func(t *limit.Tuning) { t.NoVerify, t.NoProbe = true, true }),
		AIMD("NoBrake", func(t *limit.Tuning) { t.NoBrake = true }),
		{Name: "NoRefund", New: func(first int, _ uint64) limit.Limit {
			return noRefund{limit.NewAIMD(limit.Config{First: first})}
		}},
		queued, old,
		AIMD("PriceTenth", func(t *limit.Tuning) {
			t.Price, t.Proof, t.Paid, t.Free, t.Rarely = 0.10, 0, 0.30, 0.15, 0
		}),
		AIMD("LearnsNothing", func(t *limit.Tuning) { t.Rarely = 0 }),
		AIMD("NoFloor", func(t *limit.Tuning) { t.Busy, t.Floor = 1, 1 }),
	}
}

// inverted goes down where the law goes up: its limit is the law's, mirrored at the start in ln L.
type inverted struct{ *limit.AIMD }

func (l *inverted) Current() int {
	start := limit.Defaults().Start
	return max(1, int(math.Round(start*start/float64(l.AIMD.Current()))))
}

func (l *inverted) Step(now time.Time, s limit.Signals) limit.Decision {
	d := l.AIMD.Step(now, s)
	d.Limit = l.Current()
	return d
}

// noRefund counts statements that wait for locks as running.
type noRefund struct{ *limit.AIMD }

func (noRefund) Refund(int) int { return 0 }
