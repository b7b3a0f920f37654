//go:build pg

package witness_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/instance"
	"pgguard/proxy/pgtest"
)

// TestTextsAreShownWithoutLiteralsWhereAsked: somebody past the guard holds a row that clients wait for. Where texts are shown, the verdict, its event and what runs
// have the text of his statement and of theirs, where they are not, none; what anybody typed is nowhere.
func TestTextsAreShownWithoutLiteralsWhereAsked(t *testing.T) {
	for name, show := range map[string]bool{"shown": true, "not shown": false} {
		t.Run(name, func(t *testing.T) {
			sc := open(t, pgtest.Options{}, func(c *proxy.Config) { c.ShowQueries = show })
			holder := sc.connect(sc.db.URL("postgres"), "psql")
			sc.run(holder, "create table stock as select 1 as id, 0 as n, '' as note", "begin", "update stock set n = 471108, note = E'hunter2\\'s' /* hunter2 */ where id = 1")
			var work sync.WaitGroup
			for range 8 {
				c := sc.enter("puma")
				work.Go(func() {
					_, _ = c.Exec(context.Background(), "select set_config('app.token', 'hunter2', false), n from stock where id = 1 and n <> 471108 for update")
				})
			}
			v := sc.awaits(30*time.Second, diagnosis.Locks)
			sc.run(holder, "rollback")
			work.Wait() // what has taken no time yet is not among what has
			texts := shownTexts(t, sc, show)
			if want := "update stock set n = $1, note = $2 where id = $3"; show && v.Culprit.Query != want || !show && v.Culprit.Query != "" || v.Culprit.Statement != "update stock" {
				t.Errorf("%+v", v.Culprit)
			}
			texts = append(texts, asJSON(t, sc.see.Verdicts()), asJSON(t, sc.see.Incidents()), fmt.Sprintf("%+v", sc.server.Sights()), asJSON(t, sc.server.Statements()), sc.log.String())
			for _, text := range texts {
				if strings.Contains(text, "hunter2") || strings.Contains(text, "471108") {
					t.Error(text)
				}
			}
			if strings.Contains(sc.log.String(), "set n =") {
				t.Error(sc.log)
			}
		})
	}
}

// shownTexts waits until the statement of those who wait is named, holds that it has its text or none, and returns what events say.
func shownTexts(t *testing.T, sc *scene, show bool) (texts []string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var said *proxy.Print
		for _, prints := range sc.server.Statements() {
			for i := range prints {
				if prints[i].Called == "select stock" {
					said = &prints[i]
				}
			}
		}
		events, _ := sc.server.Events(0)
		told := false
		for _, e := range events {
			texts = append(texts, asJSON(t, e))
			told = told || e.Kind == event.Verdict && e.To == "locks" && (e.Query != "") == show
		}
		want := ""
		if show {
			want = "select set_config($1, $2, false), n from stock where id = $3 and n <> $4 for update"
		}
		if said != nil && said.Query == want && told {
			return texts
		}
		if time.Now().After(end) {
			t.Fatalf("%+v, want %q\n%s", said, want, texts)
		}
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCulpritIsEnded at an operator's word, whoever's session it is; one that is gone is said to be.
func TestCulpritIsEnded(t *testing.T) {
	sc := open(t, pgtest.Options{}, nil)
	holder := sc.connect(sc.db.URL("postgres"), "psql")
	sc.run(holder, "create table stock as select 1 as id, 0 as n", "begin", "update stock set n = 1")
	var work sync.WaitGroup
	for range 8 {
		c := sc.enter("puma")
		work.Go(func() { _, _ = c.Exec(context.Background(), "update stock set n = n + 1") })
	}
	v := sc.awaits(30*time.Second, diagnosis.Locks)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	pid := int32(v.Culprit.PID)
	if uint32(pid) != holder.PgConn().PID() {
		t.Fatalf("%+v", v.Culprit)
	}
	if err := sc.server.Signal(ctx, v.Database, pid, false); err != nil { // which an idle transaction does not notice
		t.Error(err)
	}
	if err := sc.server.Signal(ctx, v.Database, pid, true); err != nil {
		t.Error(err)
	}
	work.Wait()
	if _, err := holder.Exec(ctx, "select 1"); err == nil {
		t.Error("the session lives")
	}
	for end := time.Now().Add(30 * time.Second); ; {
		err := sc.server.Signal(ctx, v.Database, pid, true)
		if errors.Is(err, instance.ErrNoSession) {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if err := sc.server.Signal(ctx, "other:5432", pid, true); !errors.Is(err, proxy.ErrNoDatabase) {
		t.Error(err)
	}
}
