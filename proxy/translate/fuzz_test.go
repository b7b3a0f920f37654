package translate

import (
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

func FuzzTranslate(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &bytesPicker{data}
		mode := p.pick(256)
		s := stage{servers: 1 + mode&1, clients: 1 + mode>>1&1, max: 2 + mode>>2&1*98, room: 10, unshare: mode>>3&1 > 0, eager: mode>>4&1 > 0, eighteen: mode>>5&1 > 0, session: mode>>6 == 3}
		y := newPlay(p, s)
		y.logs = true
		if text := y.perform(plainTexts, min(len(p.data), 400)); text != "" {
			t.Fatalf("%s\n%s", y.story(), text)
		}
	})
}
