// Package auth holds PostgreSQL's password methods, clear text, md5 and SCRAM-SHA-256, towards servers and towards clients, what is known of
// users (Secret), where that stands (libpq's password file, PgBouncer's userlist.txt), and what a login of a client tells for logins to the
// server (Known). It does no network IO. Passwords and keys are compared in constant time; no error of it holds one, and nothing prints them.
package auth
