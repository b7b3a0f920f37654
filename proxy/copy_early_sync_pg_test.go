//go:build pg

package proxy

import (
	"strings"
	"testing"
)

// A COPY of the extended protocol may be sent with its Sync, as libpq does. The server drops that if it reads it while it waits for copy data, and
// answers it if a trigger, or a cancel request, has ended the COPY before.
var earlySyncs = map[string][]step{
	"a trigger fails, nothing else was sent":   {say("GEZ", ext(copyIntoSlow), msgSync), say("Z", unnamed("select 1"))},
	"a trigger fails, data were sent":          {say("G", ext(copyIntoSlow), msgSync), say("EZZ", pieces("1\n"), msgCopyDone, msgSync), say("Z", simple("select 1"))},
	"a trigger fails, two were sent":           {say("G", ext(copyIntoSlow), msgSync), say("EZZZ", msgSync, pieces("1\n"), msgCopyDone, msgSync), say("Z", simple("select 1"))},
	"a trigger fails, by a query":              {say("G", simple(copyIntoSlow)), say("EZZ", msgSync), say("Z", simple("select 1"))},
	"a trigger fails, in a transaction":        {say("Z", simple("begin")), say("G", ext(copyIntoSlow), msgSync), say("EZZ", pieces("1\n"), msgCopyDone, msgSync), say("Z", simple("rollback"))},
	"data are wrong":                           {say("G", ext(copyIn), msgSync), say("EZ", pieces("ten\n"), msgCopyDone, msgSync), say("Z", simple("select 1"))},
	"data are wrong, and the Sync comes later": {say("G", ext(copyIn), msgSync), say("E", pieces("ten\n")), say("Z", msgSync), say("Z", unnamed("select 1"))},
	"data are wrong, before a long message":    {say("G", ext(copyIn), msgSync), say("E", pieces("ten\n"), longData[:20<<10]), say("Z", longData[20<<10:], msgCopyDone, msgSync), say("Z", unnamed("select 1"))},
	"and by a query":                           {say("G", simple(copyIn), msgSync), say("EZ", pieces("ten\n"), longData[:20<<10]), say("Z", longData[20<<10:], msgCopyDone, simple("select 1"))},
	"the client fails it":                      {say("G", ext(copyIn), msgSync), say("EZ", copyFail("no"), msgSync), say("Z", simple("select 1"))},
	"a query, and a Sync in it":                {say("G", simple(copyIn), msgSync), say("CZ", msgCopyDone), say("Z", simple("select 1"))},
	"all is well":                              {say("Z", simple("begin")), say("G", ext(copyIn), msgSync), say("CZ", pieces("10\n"), msgCopyDone, msgSync), say("Z", simple("rollback"))},
}

// longData is longer than a buffer.
var longData = copyData(strings.Repeat("x", 60<<10))

const copyIntoSlow = "copy slow_trigger from stdin"

func slowTrigger(t *testing.T, admin *caller) {
	t.Helper()
	for _, text := range []string{
		"drop table if exists slow_trigger",
		"create table slow_trigger (a int)",
		"create or replace function fails_slowly() returns trigger language plpgsql as $$begin perform pg_sleep(0.1); raise exception 'no'; end$$",
		"create trigger t before insert on slow_trigger for each statement execute function fails_slowly()",
	} {
		if a, err := admin.query(text); err != nil || a.code() != "" {
			t.Fatalf("%s: %v %s", text, err, a)
		}
	}
}

func TestSyncThatWasSentEarlyInACopy(t *testing.T) {
	g := narrow(t, 1, nil)
	slowTrigger(t, direct(t, shared))
	for name, steps := range earlySyncs {
		t.Run(name, func(t *testing.T) {
			same(t, g, steps...)
			g.atRest(t)
		})
	}
}
