package pgtest

import (
	"fmt"

	"github.com/jackc/pgproto3/v2"
)

// AnswerQueries answers until the client leaves. A statement found in answers, by its exact text, gets those
// messages, any other an EmptyQueryResponse; ReadyForQuery follows where the messages do not end with one.
//
// The extended protocol is answered plainly: Parse, Bind, Close with their acknowledgements, Describe with the
// answer's RowDescription or else NoData, Execute with the rest of the answer, Sync with ReadyForQuery. After an
// ErrorResponse everything up to the Sync is skipped, as PostgreSQL does.
func AnswerQueries(answers map[string][]pgproto3.BackendMessage) Step {
	return Step{"AnswerQueries", func(c *fakeConn) error {
		a := &answerer{answers: answers, statements: map[string]string{}, portals: map[string]string{}}
		for {
			c.mayEnd = true
			m, err := c.receive("a query or a message of the extended protocol")
			if err != nil {
				return err
			}
			reply, err := a.reply(m)
			if err != nil {
				return err
			}
			if err := c.send(reply...); err != nil {
				return err
			}
		}
	}}
}

// answerer is the state of AnswerQueries on one connection.
type answerer struct {
	answers    map[string][]pgproto3.BackendMessage
	statements map[string]string // text by statement name
	portals    map[string]string // text by portal name
	skipping   bool              // until Sync
}

// reply returns what to send for one message; nil for what has no answer.
func (a *answerer) reply(m pgproto3.FrontendMessage) ([]pgproto3.BackendMessage, error) {
	switch m := m.(type) {
	case *pgproto3.Sync:
		a.skipping = false
		return one(idle), nil
	case *pgproto3.Query:
		return a.simple(m.String), nil
	}
	if a.skipping {
		return nil, nil
	}
	switch m := m.(type) {
	case *pgproto3.Parse:
		a.statements[m.Name] = m.Query
		return one(&pgproto3.ParseComplete{}), nil
	case *pgproto3.Bind:
		a.portals[m.DestinationPortal] = a.statements[m.PreparedStatement]
		return one(&pgproto3.BindComplete{}), nil
	case *pgproto3.Describe:
		return a.describe(m), nil
	case *pgproto3.Execute:
		return a.execute(a.portals[m.Portal]), nil
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			delete(a.statements, m.Name)
		} else {
			delete(a.portals, m.Name)
		}
		return one(&pgproto3.CloseComplete{}), nil
	case *pgproto3.Flush:
		return nil, nil
	}
	return nil, fmt.Errorf("expected a query or a message of the extended protocol, got %s", describe(m))
}

// simple answers a Query.
func (a *answerer) simple(text string) []pgproto3.BackendMessage {
	msgs, ok := a.answers[text]
	if !ok {
		return []pgproto3.BackendMessage{&pgproto3.EmptyQueryResponse{}, idle}
	}
	if n := len(msgs); n > 0 {
		if _, ready := msgs[n-1].(*pgproto3.ReadyForQuery); ready {
			return msgs
		}
	}
	return append(msgs[:len(msgs):len(msgs)], idle)
}

// describe answers for a statement that takes no parameters, or for a portal.
func (a *answerer) describe(m *pgproto3.Describe) []pgproto3.BackendMessage {
	var out []pgproto3.BackendMessage
	text := a.portals[m.Name]
	if m.ObjectType == 'S' {
		text = a.statements[m.Name]
		out = one(&pgproto3.ParameterDescription{})
	}
	for _, msg := range a.answers[text] {
		if rows, ok := msg.(*pgproto3.RowDescription); ok {
			return append(out, rows)
		}
	}
	return append(out, &pgproto3.NoData{})
}

// execute answers with what belongs to an Execute.
func (a *answerer) execute(text string) []pgproto3.BackendMessage {
	msgs, ok := a.answers[text]
	if !ok {
		return one(&pgproto3.EmptyQueryResponse{})
	}
	var out []pgproto3.BackendMessage
	for _, msg := range msgs {
		switch msg.(type) {
		case *pgproto3.RowDescription, *pgproto3.ReadyForQuery:
			continue
		case *pgproto3.ErrorResponse:
			a.skipping = true
		}
		out = append(out, msg)
	}
	return out
}

func one(m pgproto3.BackendMessage) []pgproto3.BackendMessage { return []pgproto3.BackendMessage{m} }
