package translate

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// bytesPicker picks by the bytes of an input; when they are used up it picks 0.
type bytesPicker struct{ data []byte }

func (p *bytesPicker) pick(n int) int {
	if len(p.data) == 0 || n <= 1 {
		return 0
	}
	b := p.data[0]
	p.data = p.data[1:]
	return int(b) % n
}

// perform plays until the picker has nothing more to say, and returns what is wrong.
func (y *play) perform(texts []string, turns int) string {
	for range turns {
		if c := y.players[y.pick(len(y.players))]; y.pick(4) == 0 && len(c.talk.in) < 12 {
			c.talk.in = append(c.talk.in, y.sends(texts)...)
		} else if !y.act() {
			c.talk.in = append(c.talk.in, y.sends(texts)...)
		}
		if text := y.fault(); text != "" {
			return text
		}
	}
	for n := 0; y.act(); n++ {
		if text := y.fault(); text != "" {
			return text
		}
		if n > 20_000 {
			return "it never ends"
		}
	}
	return y.finished()
}

// enact plays what the bytes of an input say: the stage, what is played, and every choice.
func enact(data []byte) (y *play, fault string) {
	p := &bytesPicker{data}
	mode := p.pick(256)
	bit := func(i int) int { return mode >> i & 1 }
	s := stage{
		servers: 1 + bit(0), clients: 1 + bit(1), max: 2 + 98*bit(2), room: 10, unshare: bit(3) > 0, eager: bit(4) > 0, eighteen: bit(5) > 0,
		session: mode>>6 == 3,
	}
	y = newPlay(p, s)
	y.logs = true
	what, turns := p.pick(4), min(len(p.data), 300)
	texts := plainTexts
	if what%2 == 1 {
		texts = slices.Concat(plainTexts, sessionTexts)
	}
	if what < 2 {
		return y, y.perform(texts, turns)
	}
	y.seats.room = p.pick(2)
	return y, y.wild(texts, turns)
}

// FuzzTranslate plays a few clients with servers that do what PostgreSQL does: each client hears and commits what it would without a guard, and
// what is believed of servers is so. Or it plays a client with a server that says anything: then nothing goes down, what is counted is
// what is owed, and what is hidden stays hidden.
func FuzzTranslate(f *testing.F) {
	seeds := []uint64{470, 1092, 1165} // they reach for the guard's statements
	for seed := range uint64(60) {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 0))
		data := make([]byte, 20+r.IntN(400))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if y, fault := enact(data); fault != "" {
			t.Fatalf("%s\n%s", y.story(), fault)
		}
	})
}
