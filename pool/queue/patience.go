package queue

import (
	"math"
	"time"
)

// Patience is learned from those who leave and those who stay, as survival is (Kaplan and Meier, 1958): of those who have waited for
// so long, the share that leaves now. Who is served meanwhile tells that he was patient for as long, and nothing of later.
const (
	// patienceFirst is the shortest that is told apart; who gives up sooner than that does so for another reason.
	patienceFirst = 50 * time.Millisecond
	// patienceOctave steps make twice the time: a deadline is found to within a sixth. patienceSteps of them reach a minute and a half.
	patienceOctave = 4
	patienceSteps  = 44
	// patiencePrior is how many are taken to have stayed, so that a few who cancel prove nothing.
	patiencePrior = 20
	// patienceLeft of those who have waited so long have left when a line is too long. With less, those of a hurry would keep others
	// from being served; with more, most of what is served would be too late.
	patienceLeft = 0.2
	// patienceSame of those who stayed for about as long as others who left are taken to have stayed for longer: in a line of just that
	// length many are answered a moment before.
	patienceSame = 0.25
	// patienceHalf is the half life of what was seen; patienceEvery is how often the estimate is made anew.
	patienceHalf  = time.Minute
	patienceEvery = 100 * time.Millisecond
)

// patience is how long the clients of one class wait for an answer.
type patience struct {
	left, stayed [patienceSteps]float32
	news         bool
	at           time.Time
	value        time.Duration // 0: they have not been seen to leave
}

// see takes one who has left, or was answered or refused, so long after asking.
func (p *patience) see(after time.Duration, left bool) {
	if after < patienceFirst {
		return // nobody whose patience is asked for was there
	}
	i := min(int(patienceOctave*math.Log2(float64(after)/float64(patienceFirst))), patienceSteps-1)
	if left {
		p.left[i]++
		p.news = true
	} else {
		p.stayed[i]++
	}
}

// of returns how long clients wait; 0 if that is not known.
func (p *patience) of(now time.Time) time.Duration {
	if d := now.Sub(p.at); d >= patienceEvery && (p.news || d >= time.Second) {
		p.learn(now)
	}
	return p.value
}

func (p *patience) learn(now time.Time) {
	fade := float32(1)
	if !p.at.IsZero() {
		fade = float32(math.Exp2(-now.Sub(p.at).Seconds() / patienceHalf.Seconds()))
	}
	p.at, p.news, p.value = now, false, 0
	var there float32 // who were there longer than so
	for i := range p.left {
		p.left[i] *= fade
		p.stayed[i] *= fade
		there += p.left[i] + p.stayed[i]
	}
	survive := float32(1)
	for i := range p.left {
		survive *= 1 - p.left[i]/(there-(1-patienceSame)*p.stayed[i]+patiencePrior)
		if survive < 1-patienceLeft {
			p.value = time.Duration(float64(patienceFirst) * math.Exp2(float64(i)/patienceOctave))
			return
		}
		there -= p.left[i] + p.stayed[i]
	}
}
