// Package breaker detects that a database cannot answer at all, and lets the work come back gently when it can. It is
// pure: outcomes and time are arguments, changes are returned values. It is about a dead database, never about a busy one.
package breaker
