package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"pgguard/bench/load"
)

// railsSettings is what Active Record 7.1 sends on a new connection, as simple queries.
var railsSettings = []string{
	"set client_encoding to 'unicode'",
	"SET client_min_messages TO 'warning'",
	"SET standard_conforming_strings = on",
	"SET intervalstyle = iso_8601",
	"SET SESSION timezone TO 'UTC'",
}

// railsTypes is what it asks then to learn the types, as unnamed statements.
var railsTypes = []string{
	`SELECT t.oid, t.typname FROM pg_type as t WHERE t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'bool', 'timestamp', 'timestamptz')`,
	railsTypeSQL + `WHERE t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'text', 'varchar', 'char', 'name', 'bpchar', 'bool', 'bit', 'varbit', 'date', 'money', 'bytea', 'point', 'hstore', 'json', 'jsonb', 'cidr', 'inet', 'uuid', 'xml', 'tsvector', 'macaddr', 'citext', 'ltree', 'line', 'lseg', 'box', 'path', 'polygon', 'circle', 'time', 'timestamp', 'timestamptz', 'numeric', 'interval')`,
	railsTypeSQL + `WHERE t.typtype IN ('r', 'e', 'd')`,
	railsTypeSQL + `WHERE t.typelem IN (16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 142, 600, 601, 602, 603, 604, 628, 650, 700, 701, 718, 790, 829, 869, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1560, 1562, 1700, 2950, 3614, 3802)`,
}

const railsTypeSQL = `SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype
FROM pg_type as t LEFT JOIN pg_range as r ON oid = rngtypid
`

// railsClient is one connection of the application. One goroutine uses it at a time.
type railsClient struct {
	run    *railsRun
	client *load.Client
	r      *rand.Rand
	names  map[int]string // of prepared statements, by text; they are a1, a2 … in the order in which this client met them
	last   int            // number of the newest name
}

func newRailsClient(run *railsRun, client *load.Client, id int) *railsClient {
	return &railsClient{run: run, client: client, r: load.Rand(run.env.Seed, uint64(id)), names: map[int]string{}}
}

// setUp logs in and says what Active Record says then.
func (c *railsClient) setUp(ctx context.Context) error {
	clear(c.names)
	c.last = 0
	for _, sql := range railsSettings {
		if err := c.exec(ctx, sql); err != nil {
			return err
		}
	}
	for _, sql := range railsTypes {
		if err := c.do(ctx, func(conn *load.Conn, deadline time.Time) (int, error) { return conn.Extended(sql, nil, deadline) }); err != nil {
			return err
		}
	}
	return c.exec(ctx, "SHOW search_path")
}

// live runs transactions until ctx ends. As in Active Record an ERROR keeps the connection, and what loses it costs a
// set-up.
func (c *railsClient) live(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		if !c.client.Connected() {
			if err := c.setUp(ctx); err != nil && ctx.Err() == nil {
				c.run.errors.add("set-up", err)
				load.Sleep(ctx, railsPause)
			}
			continue
		}
		began := time.Now()
		err := c.transaction(ctx)
		if ctx.Err() != nil {
			return
		}
		c.run.class.Note(began, time.Now(), err)
		if c.client.InTransaction() {
			// A lost connection is noticed at the next statement.
			_ = c.exec(ctx, "ROLLBACK")
		}
		if err != nil {
			load.Sleep(ctx, railsPause)
		}
		if c.run.Deallocate > 0 && n%c.run.Deallocate == 0 {
			c.deallocate(ctx)
		}
	}
}

// railsPause is a client's rest after an error: without it a target that fails at once would be asked by spinning clients.
const railsPause = 100 * time.Millisecond

// transaction is BEGIN, three prepared statements and COMMIT.
func (c *railsClient) transaction(ctx context.Context) error {
	if err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	aid := randomAccount(c.r)
	for i := range 3 {
		text, args := c.r.IntN(c.run.Statements), []string{aid, "1"}
		if i == 2 && c.r.Float64() < c.run.Writes {
			text = writeText
		}
		if err := c.prepared(ctx, text, args); err != nil {
			return err
		}
	}
	return c.exec(ctx, "COMMIT")
}

// writeText is the number of the text that writes.
const writeText = -1

// railsText is a prepared text of the application.
func railsText(n int) string {
	if n == writeText {
		return `UPDATE "pgbench_accounts" SET "abalance" = "abalance" + $2 WHERE "pgbench_accounts"."aid" = $1`
	}
	return fmt.Sprintf(`SELECT "pgbench_accounts".*, "pgbench_accounts"."abalance" AS "balance_%d" FROM "pgbench_accounts" WHERE "pgbench_accounts"."aid" = $1 LIMIT $2`, n)
}

// prepared runs a text, preparing it when the client meets it for the first time.
func (c *railsClient) prepared(ctx context.Context, text int, args []string) error {
	return c.do(ctx, func(conn *load.Conn, deadline time.Time) (int, error) {
		name, ok := c.names[text]
		if !ok {
			c.last++
			name = "a" + strconv.Itoa(c.last)
			if err := conn.Prepare(name, railsText(text), deadline); err != nil {
				return 0, err
			}
			c.names[text] = name
		}
		return conn.Execute(name, args, deadline)
	})
}

// deallocate drops a statement as text, as Active Record does with libpq below 17, which passes over an error of it.
func (c *railsClient) deallocate(ctx context.Context) {
	for text, name := range c.names {
		delete(c.names, text)
		if err := c.exec(ctx, "DEALLOCATE "+name); err != nil && ctx.Err() == nil {
			c.run.errors.add("DEALLOCATE", err)
		}
		return
	}
}

func (c *railsClient) exec(ctx context.Context, sql string) error {
	return c.do(ctx, func(conn *load.Conn, deadline time.Time) (int, error) { return conn.Query(sql, deadline) })
}

func (c *railsClient) do(ctx context.Context, exchange func(conn *load.Conn, deadline time.Time) (int, error)) error {
	deadline := time.Now().Add(railsWait)
	_, err := c.client.Do(ctx, deadline, func(conn *load.Conn) (int, error) { return exchange(conn, deadline) })
	return err
}
