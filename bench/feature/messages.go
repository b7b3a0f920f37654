package feature

import "github.com/jackc/pgx/v5/pgproto3"

// The messages of the extended protocol, as short as the features need them.

func parse(name, sql string) pgproto3.FrontendMessage { return &pgproto3.Parse{Name: name, Query: sql} }

// bind makes the unnamed portal of a statement, with arguments as text.
func bind(statement string, args ...string) pgproto3.FrontendMessage {
	return bindPortal("", statement, args...)
}

func bindPortal(portal, statement string, args ...string) pgproto3.FrontendMessage {
	m := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
	for _, a := range args {
		m.Parameters = append(m.Parameters, []byte(a))
	}
	return m
}

func execute() pgproto3.FrontendMessage { return &pgproto3.Execute{} }

func executeRows(portal string, most uint32) pgproto3.FrontendMessage {
	return &pgproto3.Execute{Portal: portal, MaxRows: most}
}

func describe(statement string) pgproto3.FrontendMessage {
	return &pgproto3.Describe{ObjectType: 'S', Name: statement}
}

func forget(statement string) pgproto3.FrontendMessage {
	return &pgproto3.Close{ObjectType: 'S', Name: statement}
}

func query(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }

func syncUp() pgproto3.FrontendMessage { return &pgproto3.Sync{} }

func flush() pgproto3.FrontendMessage { return &pgproto3.Flush{} }

// prepare is what most drivers send for a named statement.
func (c *client) prepare(name, sql string) { c.runs(parse(name, sql), syncUp()) }

// executed binds and executes a statement and returns its rows.
func (c *client) executed(statement string, args ...string) string {
	return c.runs(bind(statement, args...), execute(), syncUp()).text()
}

// tried is executed where an error is expected.
func (c *client) tried(statement string, args ...string) *answer {
	return c.say(bind(statement, args...), execute(), syncUp())
}
