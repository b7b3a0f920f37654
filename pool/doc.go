// Package pool decides who gets which server connection, and when. It knows nothing of sockets.
//
// A Pool belongs to one PostgreSQL instance and hands out two things. A slot is a server connection held for a
// transaction; there are never more than the cap H. A run token is a statement running at this moment; new work starts
// only while fewer than the limit L run. A transaction begins with both (Get), gives its token back between statements
// (Idle), takes one without waiting for the next statement, because it may hold locks that others wait for (Busy), and
// gives everything back at its end (Release). A client that keeps its server between transactions waits for a token
// alone (Again).
//
// Transactions that sit idle are bounded, too: beyond L there is an allowance of slots for them, and Reap names the one to
// end when others wait. Account returns what a law for the limit is told.
//
// One mutex guards everything. While it is held nothing of the owner's is called but what Key and Each are given, and nothing
// that waits: grants, refusals, dials and closes happen after it is released.
package pool
