package instance

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// DDLTrigger is the SQL with which a database tells its guards at once of changes to what statements mean. It needs a superuser. Without it
// they find out for themselves, a little later. Temporary objects are nobody else's business.
const DDLTrigger = `-- Tells pgguard at once of changes that are made past it. Run it as a superuser in the database that the upstream names.
BEGIN;
-- A function of that name that somebody else has made would stay his if it were replaced.
DROP FUNCTION IF EXISTS pgguard_ddl() CASCADE;
CREATE FUNCTION pgguard_ddl() RETURNS pg_catalog.event_trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_EVENT OPERATOR(pg_catalog.=) 'sql_drop' THEN
    PERFORM FROM pg_catalog.pg_event_trigger_dropped_objects() WHERE NOT is_temporary;
  ELSE
    PERFORM FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE coalesce(schema_name, '') OPERATOR(pg_catalog.<>) 'pg_temp';
  END IF;
  IF FOUND THEN
    NOTIFY pgguard_ddl;
  END IF;
END $$;
DROP EVENT TRIGGER IF EXISTS pgguard_ddl_end;
CREATE EVENT TRIGGER pgguard_ddl_end ON ddl_command_end EXECUTE FUNCTION pgguard_ddl();
DROP EVENT TRIGGER IF EXISTS pgguard_ddl_drop;
CREATE EVENT TRIGGER pgguard_ddl_drop ON sql_drop EXECUTE FUNCTION pgguard_ddl();
COMMIT;

-- To be rid of it: DROP FUNCTION pgguard_ddl CASCADE;
`

// listen has the side channel told of changes to its database. A standby cannot, and has none of its own.
func listen(ctx context.Context, c *pgx.Conn) {
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	_, _ = c.Exec(ctx, "LISTEN pgguard_ddl")
}

// hears reads what c is told unasked (see adopt), until the function returned is called, which waits for its end. Nobody else uses c meanwhile.
func hears(ctx context.Context, c *pgx.Conn) (stop func()) {
	if c == nil || c.IsClosed() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if err := c.PgConn().WaitForNotification(ctx); err != nil {
				return // the next look tells what is wrong with c
			}
		}
	}()
	return func() { cancel(); <-done }
}
