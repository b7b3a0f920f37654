package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgproto3/v2"
)

// Step is one act of a Fake's script, made by the functions of this package. A step that meets a message it does not
// expect fails the test with what it expected, and ends its connection. After the last step the connection closes.
// Before the first step that reads, the startup packet is read and encryption refused; a cancel request that comes
// instead is recorded and ends the connection.
type Step struct {
	name string
	run  func(*fakeConn) error
}

// Expect reads one message and demands its type byte, such as 'Q', and that its body holds substring.
func Expect(typeByte byte, substring string) Step {
	what := fmt.Sprintf("%q", typeByte)
	if substring != "" {
		what += fmt.Sprintf(" with %q", substring)
	}
	return Step{"Expect " + what, func(c *fakeConn) error {
		m, err := c.receive(what)
		if err != nil {
			return err
		}
		b, err := m.Encode(nil)
		if err != nil {
			return fmt.Errorf("expected %s, got %s: %w", what, describe(m), err)
		}
		if b[0] != typeByte || !bytes.Contains(b[5:], []byte(substring)) {
			return fmt.Errorf("expected %s, got %s", what, describe(m))
		}
		return nil
	}}
}

// SendBytes writes b as it is. The caller must not change b while the fake runs.
func SendBytes(b []byte) Step {
	return Step{"SendBytes", func(c *fakeConn) error { return c.write(b) }}
}

// Send writes messages in one write. The caller must not change them while the fake runs.
func Send(msgs ...pgproto3.BackendMessage) Step {
	return Step{"Send", func(c *fakeConn) error { return c.send(msgs...) }}
}

// Fatal sends a FATAL error and ends the script. As a first step it reads the startup packet before, as PostgreSQL
// does when it refuses a login.
func Fatal(code, msg string) Step {
	return Step{"Fatal " + code, func(c *fakeConn) error {
		if err := c.readStartup(); err != nil {
			return err
		}
		if err := c.send(fatal(code, msg)); err != nil {
			return err
		}
		return errOver
	}}
}

func fatal(code, msg string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: msg}
}

// CloseHard resets the connection: the client sees "connection reset by peer". It ends the script.
func CloseHard() Step {
	return Step{"CloseHard", func(c *fakeConn) error {
		reset(c.conn)
		return errOver
	}}
}

// reset closes a TCP connection with RST instead of FIN.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Hang does nothing and reads nothing, until one of the contexts ends, after which the script goes on, or until the
// fake is stopped. Hang() is for ever.
func Hang(until ...context.Context) Step {
	return Step{"Hang", func(c *fakeConn) error {
		woken := make(chan struct{}, len(until))
		for _, ctx := range until {
			stop := context.AfterFunc(ctx, func() { woken <- struct{}{} })
			defer stop()
		}
		select {
		case <-woken:
			return nil
		case <-c.f.ctx.Done():
			return errOver
		}
	}}
}

// WaitEOF waits until the client leaves, with or without a Terminate; any other message is unexpected.
func WaitEOF() Step {
	return Step{"WaitEOF", func(c *fakeConn) error {
		c.mayEnd = true
		m, err := c.receive("the end of the connection")
		switch {
		case errors.Is(err, errOver):
			_, _ = io.Copy(io.Discard, c.conn) // after a Terminate, the close
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("expected the end of the connection, got %s", describe(m))
	}}
}

// Loop runs steps over and over. Where a round begins by reading, the client may leave or say Terminate instead.
func Loop(steps ...Step) Step {
	return Step{"Loop", func(c *fakeConn) error {
		for c.f.ctx.Err() == nil {
			c.mayEnd = true
			if err := c.play(steps); err != nil {
				return err
			}
		}
		return errOver
	}}
}

// RecordCancel demands that the connection is a cancel request, and records it: see Fake.Cancels.
func RecordCancel() Step {
	return Step{"RecordCancel", func(c *fakeConn) error {
		if err := c.readStartup(); err != nil {
			return err
		}
		return fmt.Errorf("expected a cancel request, got a startup packet with %v", c.startup)
	}}
}
