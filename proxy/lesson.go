package proxy

import (
	"bytes"
	"strings"
	"sync"

	"pgguard/proxy/instance"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
)

// lessons are what SET and RESET statements have been seen to do, for one key: under the same settings the same text does
// the same, so that no server is needed for it a second time. Any goroutine may call its methods.
type lessons struct {
	mu sync.RWMutex

	// guarded by mu
	known map[lesson]outcome
	era   uint64 // of the instance, in which they were learned
}

// lesson is a text run under some settings, whatever the client's application_name is, as long as it is the one of its login.
type lesson struct {
	from translate.Settings
	text string // "": nothing is to be learned
}

// outcome is what came of a lesson.
type outcome struct {
	to     translate.Settings
	params *instance.Params // what the server reports then
	tag    string
}

// maxLessons bounds how many are remembered; beyond, all are forgotten and learned again.
const maxLessons = 1024

// maxLesson is the longest text worth remembering.
const maxLesson = 256

func (l *lessons) recall(k lesson, era uint64) (outcome, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.era != era {
		return outcome{}, false
	}
	o, ok := l.known[k]
	return o, ok
}

func (l *lessons) learn(k lesson, o outcome, era uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= maxLessons || l.era != era {
		l.known, l.era = map[lesson]outcome{}, era
	}
	l.known[k] = o
}

// lessonLocked returns what may be learned from a request: a single SET or RESET outside a transaction.
func (s *session) lessonLocked(r *request) lesson {
	if s.local != 'I' || r.buf.W-r.at > maxLesson || s.client.Renamed() {
		return lesson{}
	}
	text, ok := r.Setting(r.buf.Data[r.at:r.buf.W])
	if !ok || bytes.Contains(bytes.ToLower(text), []byte("application_name")) { // what it does depends on the client
		return lesson{}
	}
	return lesson{s.client.Settings().Bare(), string(text)}
}

// untaught are settings whose values the server looks up in its catalogues: what was right once may not be for ever.
var untaught = []string{
	"role", "session_authorization", "default_tablespace", "temp_tablespaces", "default_text_search_config",
	"default_table_access_method", "session_preload_libraries",
}

// taughtLocked remembers what the lesson under way has shown; was is what was set before.
func (l *link) taughtLocked(was translate.Settings) {
	k := l.lesson
	l.lesson = lesson{}
	if k.text == "" || l.s == nil || !l.lease.Settled() {
		return
	}
	is := l.s.client.Settings()
	if l.s.client.Renamed() {
		return
	}
	for _, name := range untaught {
		before, _ := was.Get(name)
		after, _ := is.Get(name)
		if before != after {
			return
		}
	}
	if !explains(k.text, was, is) {
		return
	}
	tag := "SET"
	if sql.Scan([]byte(k.text)).First == sql.Reset {
		tag = "RESET"
	}
	l.s.route.key.Value.(*login).lessons.learn(k, outcome{is.Bare(), l.b.params.Load(), tag}, l.b.inst.Era())
}

// otherwise are the settings that a text may name by other words.
var otherwise = map[string]string{
	"TimeZone": "zone", "client_encoding": "names", "search_path": "schema", "xmloption": "xml",
	"default_transaction_isolation": "characteristics", "default_transaction_read_only": "characteristics", "default_transaction_deferrable": "characteristics",
}

// explains is true if all that is set otherwise after a SET or RESET is what its text is about. The rest was in the server before, and is somebody else's.
func explains(text string, was, is translate.Settings) bool {
	text = strings.ToLower(text)
	all := false
	if words := strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == ';' }); len(words) == 2 && words[0] == "reset" {
		all = words[1] == "all"
	}
	for _, name := range was.Changed(is) {
		if _, set := is.Get(name); all && !set {
			continue
		}
		word, ok := otherwise[name]
		if !strings.Contains(text, strings.ToLower(name)) && (!ok || !strings.Contains(text, word)) {
			return false
		}
	}
	return true
}
