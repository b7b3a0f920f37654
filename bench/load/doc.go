// Package load makes load on a PostgreSQL address and counts honestly what comes back.
//
// A Client is what an application has: one connection that it opens when it needs it, closes when its own deadline
// passes, and opens again. A Tally counts useful answers, those within the deadline measured from the intended start,
// and labels all others. Open and Crew are the two kinds of generator. A Watcher and ReadProcess look at the server
// and at a proxy from the side.
package load
