// Package doors compares who comes in through the guard with who comes into PostgreSQL itself: by each method of a client, with each method of the server
// behind, with and without TLS, from each driver. `make doors` runs it against servers of several versions and writes docs/authentication.md.
//
// A cell is one method of clients and one of servers. In it each driver tries to come in with what is right and with what is wrong (an attempt). A client must
// come in exactly where PostgreSQL lets it in by both methods, as the same user, and who is refused must be told what PostgreSQL says of one of the two. A cell
// that does not hold so because the guard has no password for the server is tried once more with a password file.
package doors
