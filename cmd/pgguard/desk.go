package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"pgguard/proxy"
	"pgguard/proxy/config"
	"pgguard/proxy/console"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

// beside runs f in a goroutine, which ends with what is returned.
func beside(f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }() // ends with stop
	return func() { cancel(); <-done }
}

// settingsOf are the keys of a file, each with its default; of a list's elements there is none.
func settingsOf(f *config.File) []console.Setting {
	defaults := map[string]string{}
	for _, k := range config.Default().Settings() {
		defaults[k.Key] = k.Value
	}
	var list []console.Setting
	for _, k := range f.Settings() {
		list = append(list, console.Setting{Key: k.Key, Value: k.Value, Default: defaults[k.Key], Changeable: config.WhenOf(k.Key) != config.Restart})
	}
	return list
}

// orders are what operators ask of the program as a whole. Any goroutine may give them.
type orders struct {
	live   *live
	before func()                   // a reload
	after  func()                   // a reload, however it went
	behind func() []proxy.Straggler // who is not where its database is
	ends   chan console.End
	see    atomic.Pointer[witness.Witness] // nil: not looking yet
}

func newOrders(l *live) *orders {
	nothing := func() {}
	return &orders{live: l, before: nothing, after: nothing, behind: func() []proxy.Straggler { return nil }, ends: make(chan console.End, 4)}
}

// config is what the console is told.
func (o *orders) config() console.Config {
	return console.Config{
		Version: versionName(), Settings: o.live.settings, Reload: o.reload, Set: o.live.assign, Shutdown: o.end,
		Verdicts: o.verdicts, Incidents: o.incidents,
	}
}

// verdicts are what the witness says.
func (o *orders) verdicts() []diagnosis.Verdict {
	if see := o.see.Load(); see != nil {
		return see.Verdicts()
	}
	return nil
}

// incidents are those that the witness has kept.
func (o *orders) incidents() []diagnosis.Incident {
	if see := o.see.Load(); see != nil {
		return see.Incidents()
	}
	return nil
}

// reload reads the configuration again for somebody, and returns in lines what has changed, and who still has servers where a database is not any more.
func (o *orders) reload(by string) ([]string, error) {
	o.before()
	defer o.after()
	changes, err := o.live.reload(by)
	said := lines(changes)
	if err != nil {
		return said, err
	}
	for _, g := range o.behind() {
		o.live.log.Warn("clients still have servers where their database is not any more", "database", g.Database, "upstream", g.At, "clients", len(g.Clients), "ids", some(g.Clients))
		said = append(said, fmt.Sprintf("%s: clients who have servers at %s keep them until their transaction, pin or session ends: %s; WAIT_CLOSE %s waits for that, KILL_CLIENT ends one",
			g.Database, g.At, some(g.Clients), g.Database))
	}
	return said, nil
}

// mostNamed is how many clients are named in a line.
const mostNamed = 20

// some are the numbers of clients, not too many, for a person.
func some(ids []uint64) string {
	var text strings.Builder
	for i, id := range ids {
		if i == mostNamed {
			fmt.Fprintf(&text, " and %d more", len(ids)-i)
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprint(&text, id)
	}
	return text.String()
}

// end has the program end. More orders than it has taken yet say nothing new.
func (o *orders) end(how console.End) {
	select {
	case o.ends <- how:
	default:
	}
}
