// Package replay reads what PostgreSQL logs of statements (log_min_duration_statement, as CSV or JSON) so that they can be played again, in
// their sessions and at their times. It opens no connection.
package replay
