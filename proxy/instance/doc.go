// Package instance keeps what is about one PostgreSQL: its pool, how many statements may run on it, whether it can be
// reached, and what is known of its databases.
package instance
