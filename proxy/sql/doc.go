// Package sql says what a statement may do to the session that runs it, from its text alone.
package sql
