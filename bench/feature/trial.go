package feature

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// rounds is how often a feature looks again. With busy neighbours a pooler gives a client another server in most
// rounds: twenty miss a difference between servers once in many thousand runs.
const rounds = 20

// trial is one attempt of one feature. The first thing that is wrong is kept; after it every call does nothing and
// returns an empty answer, so that a feature is written as if all went well.
type trial struct {
	ctx     context.Context
	cfg     *pgconn.Config
	server  *pgconn.Config // directly, as a superuser
	own     Demoter        // nil unless the server is ours
	version int            // of the server, as in server_version_num
	workMem string         // of an untouched session
	wrong   string         // "" while nothing is wrong
	clients []*client
	after   []string // what puts the server back to what it was; done whatever became of the trial
}

// client is one client of a trial.
type client struct {
	t    *trial
	conn *conn // nil once something is wrong with it
}

// fail keeps the first thing that is wrong.
func (t *trial) fail(format string, args ...any) {
	if t.wrong == "" {
		t.wrong = fmt.Sprintf(format, args...)
	}
}

// check fails unless ok.
func (t *trial) check(ok bool, format string, args ...any) {
	if !ok {
		t.fail(format, args...)
	}
}

// often does the step again and again while neighbours are at work, until something is wrong.
func (t *trial) often(step func()) {
	for i := 0; i < rounds && t.wrong == ""; i++ {
		step()
	}
}

// eventually repeats the step until it is true or answerWait has passed.
func (t *trial) eventually(what string, step func() bool) {
	for end := time.Now().Add(answerWait); t.wrong == "" && !step(); load.Sleep(t.ctx, 10*time.Millisecond) {
		t.check(t.ctx.Err() == nil && time.Now().Before(end), "%s", what)
	}
}

// client logs in.
func (t *trial) client() *client { return t.clientWith(nil) }

// clientWith logs in with parameters in the startup message.
func (t *trial) clientWith(params map[string]string) *client {
	return t.clientOf(pgproto3.ProtocolVersion30, params)
}

func (t *trial) clientOf(protocol uint32, params map[string]string) *client {
	return t.clientAt(t.cfg, protocol, params)
}

func (t *trial) clientAt(cfg *pgconn.Config, protocol uint32, params map[string]string) *client {
	c := &client{t: t}
	if t.wrong != "" {
		return c
	}
	conn, err := login(cfg, protocol, params)
	if err != nil {
		t.fail("login: %s", reason(err))
		return c
	}
	c.conn = conn
	t.clients = append(t.clients, c)
	return c
}

// close ends all clients.
func (t *trial) close() {
	for _, c := range t.clients {
		c.quit()
	}
}

// quit ends the client politely.
func (c *client) quit() {
	if c.conn != nil {
		c.conn.quit()
		c.conn = nil
	}
}

// kill closes the client's socket without a word.
func (c *client) kill() {
	if c.conn != nil {
		c.conn.net.Close()
		c.conn = nil
	}
}

// dead reports whether the client can do nothing any more.
func (c *client) dead() bool { return c.t.wrong != "" || c.conn == nil }

// say sends messages and reads up to ReadyForQuery; an error that is in the answer is the feature's to judge.
func (c *client) say(messages ...pgproto3.FrontendMessage) *answer {
	return c.sayUntil("ZG", messages...)
}

// sayUntil sends messages and reads up to a message of one of the types.
func (c *client) sayUntil(ends string, messages ...pgproto3.FrontendMessage) *answer {
	if c.dead() {
		return &answer{}
	}
	if err := c.conn.send(messages...); err != nil {
		c.t.fail("%s", reason(err))
		return &answer{}
	}
	a, err := c.conn.receiveUntil([]byte(ends)...)
	if err != nil {
		c.t.fail("%s", reason(err))
		return &answer{}
	}
	return a
}

// try runs a simple query that may fail.
func (c *client) try(sql string) *answer { return c.say(&pgproto3.Query{String: sql}) }

// run runs a simple query that must not fail.
func (c *client) run(sql string) *answer { return c.fine(c.try(sql)) }

// runs sends messages that must not fail.
func (c *client) runs(messages ...pgproto3.FrontendMessage) *answer {
	return c.fine(c.say(messages...))
}

// fine fails when the answer holds an error.
func (c *client) fine(a *answer) *answer {
	if a.err != nil {
		c.t.fail("%s", wrong(a.err))
	}
	return a
}

// is fails unless the rows of a simple query are want.
func (c *client) is(sql, want string) {
	c.t.same(sql, c.run(sql).text(), want)
}

// shows fails unless the setting has the value.
func (c *client) shows(setting, want string) { c.is("SHOW "+setting, want) }

// fails fails unless a simple query ends with the SQLSTATE.
func (c *client) fails(sql, code string) { c.t.refused(sql, c.try(sql), code) }

// same fails unless got is want.
func (t *trial) same(what, got, want string) {
	t.check(got == want, "%s: %q, not %q", what, short(got), want)
}

// refused fails unless the answer is an error with the SQLSTATE.
func (t *trial) refused(what string, a *answer, code string) {
	switch {
	case a.err == nil:
		t.fail("%s: no error %s", what, code)
	case a.err.Code != code:
		t.fail("%s: %s, not %s", what, wrong(a.err), code)
	}
}

// reason puts an error of a connection in few words.
func reason(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return wrong(pe)
	}
	return err.Error()
}

// short cuts a text for a table.
func short(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return strings.TrimSpace(string(r[:most-1])) + "…"
	}
	return s
}
