//go:build rails

package rails

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/proxy/pgtest"
)

const (
	// connections is what a small server that one rents has.
	connections = 60
	// reports is work for Sidekiq for longer than the surge.
	reports = 200
	// held is how long somebody keeps all others from the table of orders.
	held = 5 * time.Second
)

// large is an application to which workers were added when it was slow: together they open more connections than there are.
var large = size{pumas: 2, threads: 16, sidekiqs: 2, jobs: 25}

// phase is a part of the play; what it does at its beginning may take a part of it.
type phase struct {
	name string
	does func(l *leg)
}

var phases = []phase{
	{"calm", func(*leg) {}},
	{fmt.Sprint(reports, " reports at once"), (*leg).surge},
	{fmt.Sprint("the table is locked for ", held), (*leg).lock},
	{"PostgreSQL restarts", (*leg).restart},
	{"afterwards", func(*leg) {}},
}

// leg is the play once, with one place that the application goes to.
type leg struct {
	w     *world
	app   *web
	crowd *crowd
	at    map[string]seen
	jobs  map[string]int // done in each phase

	restarted      time.Time
	whole          time.Duration // from the restart until no request failed any more; negative: never
	failed, undone int           // jobs: failures, and what is still to be done at the end
	kinds          map[string]int
}

// surge has somebody ask for many reports.
func (l *leg) surge() {
	l.w.t.Helper()
	if err := l.crowd.visitors[0].post(l.w.t.Context(), "/jobs", url.Values{"count": {strconv.Itoa(reports)}}); err != nil {
		l.w.t.Errorf("the form for reports: %v", err)
	}
}

// lock is what a careless migration does.
func (l *leg) lock() {
	l.w.t.Helper()
	c := l.w.superuser()
	defer func() { _ = c.Close(context.Background()) }()
	if _, err := c.Exec(l.w.t.Context(), fmt.Sprintf("begin; lock table orders; select pg_sleep(%g); commit", held.Seconds())); err != nil {
		l.w.t.Error(err)
	}
}

func (l *leg) restart() {
	l.w.t.Helper()
	l.restarted = time.Now()
	if err := l.w.pg.Restart("fast"); err != nil {
		l.w.t.Error(err)
	}
	l.w.pin()
}

// superuser is a connection that the application's cannot take.
func (w *world) superuser() *pgx.Conn {
	w.t.Helper()
	c, err := pgx.Connect(w.t.Context(), fmt.Sprintf("host=%s port=%d user=postgres dbname=shop", w.pg.SocketDir(), w.pg.Port()))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// done is how many jobs have been done: each leaves a trace in the database.
func (w *world) done() (n int) {
	w.t.Helper()
	c := w.superuser()
	defer func() { _ = c.Close(context.Background()) }()
	const text = "select (select count(*) from reports) + (select count(*) from orders where status = 'confirmed')"
	if err := c.QueryRow(w.t.Context(), text).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// play plays all phases with the application at a place.
func (w *world) play(name string, at place, each time.Duration) *leg {
	w.t.Helper()
	w.exec("drop database if exists shop with (force)", "create database shop template shop_seed owner app")
	app := w.serve(name, at, large)
	defer app.stop()
	crowd, err := newCrowd(w.t.Context(), app.url)
	if err != nil {
		w.t.Fatal(err)
	}
	l := &leg{w: w, app: app, crowd: crowd, at: map[string]seen{}, jobs: map[string]int{}}
	ctx, leave := context.WithCancel(w.t.Context())
	gone := make(chan struct{})
	go func() {
		crowd.come(ctx)
		close(gone)
	}()
	var times []time.Time
	for _, p := range phases {
		end := time.NewTimer(each)
		before := w.done()
		times = append(times, time.Now())
		p.does(l)
		<-end.C
		l.jobs[p.name] = w.done() - before
	}
	times = append(times, time.Now())
	leave()
	<-gone
	for i, p := range phases {
		l.at[p.name] = crowd.between(times[i], times[i+1])
	}
	l.whole = crowd.answeredSince(l.restarted)
	l.kinds = crowd.kinds()
	l.failed, l.undone = app.ask("GET stat:failed"), app.ask("LLEN queue:reports")+app.ask("LLEN queue:default")+app.ask("ZCARD retry")
	w.t.Logf("%s: %+v, jobs %v, failed %d, to be done %d, whole after %s, errors %v", name, l.at, l.jobs, l.failed, l.undone, l.whole, l.kinds)
	return l
}

// ask is a number that Redis has.
func (a *web) ask(command string) int {
	a.w.t.Helper()
	n, err := ask(a.redis, command)
	if err != nil {
		a.w.t.Error(err)
	}
	return n
}

// TestSideBySide plays the same bad minutes direct and guarded, in turns, and writes down what the application's users met.
func TestSideBySide(t *testing.T) {
	each, err := time.ParseDuration(cmp.Or(os.Getenv("RAILS_PHASE"), "10s"))
	if err != nil {
		t.Fatal(err)
	}
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("RAILS_ROUNDS"), "2"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, pgtest.Options{Durable: true, Settings: map[string]string{"max_connections": strconv.Itoa(connections), "shared_buffers": "256MB"}})
	w.pin()
	w.exec("create database app owner app")
	w.rails(w.direct(), "production", "db:create", "db:migrate", "db:seed")
	w.exec("alter database shop rename to shop_seed")
	legs := map[string][]*leg{}
	for round := range rounds {
		turns := strings.Fields(cmp.Or(os.Getenv("RAILS_TURNS"), "direct guarded"))
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			at, stop := w.direct(), func() {}
			if turn == "guarded" {
				var p *process
				at, p = w.guard(w.upstream("?sslmode=disable"))
				stop = p.stop
			}
			legs[turn] = append(legs[turn], w.play(fmt.Sprintf("%s%d", turn, round), at, each))
			stop()
		}
	}
	text := table(legs["direct"], legs["guarded"])
	t.Log("\n" + text)
	if file := os.Getenv("RAILS_TABLE"); file != "" {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	for _, l := range legs["guarded"] {
		for _, name := range []string{"calm", "afterwards"} {
			if s := l.at[name]; s.Errors > 0 || s.Asked == 0 {
				t.Errorf("guarded, %s: %+v", name, s)
			}
		}
	}
}
