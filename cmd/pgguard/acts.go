package main

import (
	"context"
	"errors"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/admin"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

// errNoCulprit refuses to touch a session of which no verdict says anything: a token for the pages is no right to end whom one likes.
var errNoCulprit = errors.New("no verdict names this session any more; look again")

// acts are what who knows the token may have done on the pages: what operators do in the console, by the same functions.
// assign gives a key of the configuration another value, as SET does.
func acts(g guard, see *witness.Witness, assign func(by, key, value string) ([]string, error)) admin.Acts {
	tell := func(verb, subject string) {
		g.Tell(event.Event{Time: time.Now(), Kind: event.Operate, Subject: subject, Cause: verb, By: event.ByPage})
	}
	return admin.Acts{
		Pause:  func(ctx context.Context) error { tell("pause", "all"); return g.Pause(ctx, "") },
		Resume: func() error { tell("resume", "all"); return g.Resume("") },
		Enforce: func(enforce bool) error {
			mode := "observe"
			if enforce {
				mode = "enforce"
			}
			_, err := assign(event.ByPage, "mode", mode) // which is an event
			return err
		},
		Signal: func(ctx context.Context, pid int, end bool) error {
			upstream, who := culpritOf(see.Verdicts(), pid)
			if upstream == "" {
				return errNoCulprit
			}
			verb := "cancel"
			if end {
				verb = "end"
			}
			tell(verb, who)
			return g.Signal(ctx, upstream, int32(pid), end)
		},
	}
}

// culpritOf finds a session of PostgreSQL's among those that verdicts name: whose server it is of, and what it is called; "": there is none.
func culpritOf(verdicts []diagnosis.Verdict, pid int) (upstream, who string) {
	for i := range verdicts {
		v := &verdicts[i]
		if v.State.Healthy() || pid <= 0 {
			continue
		}
		for c := &v.Culprit; c != nil; c = c.Through {
			if c.PID == pid && c.Process == "" {
				return v.Database, c.Who()
			}
		}
	}
	return "", ""
}
