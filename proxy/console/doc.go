// Package console answers operators over the PostgreSQL protocol, in the databases pgguard and pgbouncer: PgBouncer's commands with its columns,
// types, order, tags and errors, so that whoever and whatever knows its console finds it, and some of the guard's own.
//
// It asks no database and holds no server: it works when nothing else does.
package console
