// Package translate turns a client's messages into those for one server, and says of each answer whose it is.
//
// A client's session is the same wherever its statements run: its prepared statements and its settings follow it from server
// to server. So names of statements are replaced on the way, what a server lacks is prepared first, and settings in which
// server and client differ are set ahead. What the server says to all that is not for the client.
//
// The package is pure: it opens nothing, waits for nothing, reads no clock and locks nothing. Whoever calls its methods
// sees to it that one goroutine at a time is in a [Client] and its [Lease].
//
// # The parts
//
// A [Client] is what a client's session is, a [Server] what a server's is. A [Lease] joins the two for as long as the
// client has the server: [Lease.Prefix] and [Lease.Send] give the bytes for the server, [Lease.Receive] takes its answers one by one. In
// between stand the expectations, one for each message that the server owes an answer to, in one row.
//
// At most one ReadyForQuery is owed to a client at a time: who runs ahead of a Sync is held up until it is answered. So what
// a message means never depends on what becomes of a batch before it.
package translate
