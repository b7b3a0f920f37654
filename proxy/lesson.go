package proxy

import (
	"sync"
	"unique"

	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// lessons are what SET and RESET statements have been seen to do, for one key: under the same settings the same text does
// the same, so that no server is needed for it a second time. Any goroutine may call its methods.
type lessons struct {
	mu sync.RWMutex
	of map[lesson]outcome
}

// lesson is a text run under some settings.
type lesson struct {
	from unique.Handle[string]
	text string // "": nothing is to be learned
}

// outcome is what came of a lesson.
type outcome struct {
	to     settings
	params *instance.Params // what the server reports then
	tag    string
}

// maxLessons bounds how many are remembered; beyond, all are forgotten and learned again.
const maxLessons = 1024

// maxLesson is the longest text worth remembering.
const maxLesson = 256

func (l *lessons) recall(k lesson) (outcome, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	o, ok := l.of[k]
	return o, ok
}

func (l *lessons) learn(k lesson, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil || len(l.of) >= maxLessons {
		l.of = map[lesson]outcome{}
	}
	l.of[k] = o
}

// lessonLocked returns what may be learned from a request: a single SET or RESET outside a transaction.
func (s *session) lessonLocked(r *request, pending *sock.Buffer) lesson {
	if r.n != 1 || r.undo&pins(sql.Setting) == 0 || r.steps[0].typ != wire.Query || r.left > 0 || s.local != wire.Idle || len(pending.Bytes()) > maxLesson {
		return lesson{}
	}
	text := queryText(pending.Bytes())
	if res := sql.Scan(text); res.Statements != 1 || (res.First != sql.Set && res.First != sql.Reset) {
		return lesson{}
	}
	return lesson{s.settings.all, string(text)}
}

// untaught are settings whose values the server looks up in its catalogues: what was right once may not be for ever.
var untaught = []string{
	settingRole, settingAuthorization, "default_tablespace", "temp_tablespaces", "default_text_search_config",
	"default_table_access_method", "session_preload_libraries",
}

// taughtLocked remembers what the lesson under way has shown.
func (s *session) taughtLocked(b *backend, was settings) {
	k := s.lesson
	s.lesson = lesson{}
	if k.text == "" || s.pins != 0 || b.settings != s.settings {
		return
	}
	for _, name := range untaught {
		before, _ := was.get(name)
		after, _ := s.settings.get(name)
		if before != after {
			return
		}
	}
	tag := "SET"
	if sql.Scan([]byte(k.text)).First == sql.Reset {
		tag = "RESET"
	}
	s.route.key.Value.(*login).lessons.learn(k, outcome{s.settings, b.params.Load(), tag})
}
