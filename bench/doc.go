// Package bench measures pgguard beside a direct connection and PgBouncer, and shows the difference to people.
//
// Main is the program pgguard-bench; Run measures targets in turns and returns a report.File; Demo plays the story on a
// PostgreSQL of its own, without a guard and with one. DESIGN.md says what each figure means and which traps are avoided.
package bench
