// Package proxy accepts PostgreSQL clients and joins each to a server connection only while it has work in progress.
//
// # The life of a query
//
// A client's connection is a session, a server's is a backend; each has one goroutine, which is the only reader of its
// socket and lives as long as it. A session whose client sends a statement asks the pool for a server. When it is
// granted one, whoever granted it - the session itself if a server was idle, else the backend that has just become free -
// joins the two by a link, has package translate write the waiting request for that server, and sends it. The session
// meanwhile waits in its read, where it also sees its client go. The backend reads the answer and writes it to the client, and at ReadyForQuery in state I, with nothing outstanding, gives
// the server back. So a query costs two reads, two writes and two wake-ups, also when it had to wait.
//
// What the guard can answer itself never reaches a server: the empty query, BEGIN, which is sent with the first
// statement, and the end of a transaction that had none.
//
// # Rooms
//
// Package translate turns a client's messages into those for one server, and says of each answer whose it is; it is pure.
// Package library keeps the texts of statements for all clients.
// Package sock is one socket. Package upstream says where a PostgreSQL is and how to log in to it. Package instance keeps
// what is about one PostgreSQL, whoever its clients are: its pool, the law, the breaker, the side channel. None of them
// knows the proxy: the instance calls two functions that it is given, to open a server and to reap a transaction, and sees
// of a server what instance.Server says.
//
// # Words
//
// client: an application's connection. server: a connection to PostgreSQL. session, backend: our side of them. lease:
// the right to use a server. link: a session and a backend joined for one lease. exchange: from a client's first message
// to its ReadyForQuery. slot: a server held by a transaction. run token: a statement running. limit (L): how many may
// run, chosen. cap (H): how many servers may exist, given. class: a kind of work. refusal: an answer in the database's
// place. pin: keeping a server between transactions. residue: what a transaction left in its server. drain: ending
// without interrupting. side channel: the guard's own connection to the server. operator: somebody in the console, who is no client. state: what a session is doing.
// expectation: an answer that the server owes, and to whom. dedicate: to give a client a server of its own, in which its
// statements have their own names. head: a client or an operator, as it is counted. heir, ancestor: the process that takes
// this one's place, and the one whose place this one has taken. deed: what only one of two processes can take, once, and
// with it whom or what it is about.
//
// # Locks
//
// session.mu guards a session's state and its link; a link without a client has a mutex of its own. session.wmu is held while writing to its client, backend.wmu while writing to a
// server. The order is backend.wmu after session.mu, and session.mu after session.wmu: who decides what goes to a client
// holds the right to write to it first, so that a client that does not read holds up nobody who only needs its mu; who
// decides what goes to a server locks that writer before it unlocks mu. So bytes leave in the order in which they were
// decided, and mu is never held during a write. The pool is never called with mu held. Server.mu stands alone: who holds it
// takes no lock of a session, a link or the pool, and is never kept waiting for one.
package proxy
