// Package limit decides how many statements one PostgreSQL instance should run at once. It is pure: samples and time
// arrive as arguments, decisions are returned as values.
package limit
