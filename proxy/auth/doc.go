// Package auth speaks PostgreSQL's password methods towards a server: clear text, md5 and SCRAM-SHA-256, and finds
// passwords in libpq's password file. It does no network IO. No error of it holds a password.
package auth
