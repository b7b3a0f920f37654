// Package pgtest gives tests, the demo and the bench something to talk to: real PostgreSQL clusters, a scripted
// fake server, and a tap that breaks connections on demand.
//
// A [Cluster] is a private PostgreSQL in a temporary directory, listening on 127.0.0.1 and on a socket in that
// directory. [Start] copies a data directory that initdb made once per PostgreSQL version, so that it takes a
// fraction of a second. A [Fake] is a server on a real socket that follows a script of [Step] values, for what a
// real PostgreSQL will not do on demand. A [Tap] forwards to a real address and can cut, stall or refuse.
//
// # What happens when the parent dies
//
// Every cluster has a watchdog: a shell out of reach of the terminal, whose standard input is a pipe held by this
// process alone. The kernel closes that pipe however the process ends (return, panic, Ctrl-C, SIGKILL), and the watchdog
// then stops PostgreSQL, releases its shared memory and removes the directory. [Cluster.Stop] does its work by
// closing the same pipe, so the way out after a kill is the way out of every test.
//
// PostgreSQL refuses to run as root. A root process starts it as the user postgres, or nobody, who then owns the
// cluster's directory.
package pgtest
