// Package ledger proves the guard by bookkeeping: no statement runs twice or is lost in silence, what was refused never
// runs, and what a client has not finished is never committed.
//
// # What is played
//
// Clients that speak the protocol byte by byte write rows with unique numbers through several guards at once, in every form
// that the protocol has for it, and each keeps a ledger of what became of every row as far as it was told. Meanwhile servers are
// told to go, killed and restarted, statements are cancelled, refused, and tried again, and clients leave in every state,
// also in the middle of a message. A client knows what it is owed (a [talk]): an answer that does not come, or that is not
// the one that is owed, is a failure by itself.
//
// # What is compared
//
// At the end of each round, when nothing runs any more, the ledgers are held against the table. A row is there
//
//	acknowledged                     exactly once
//	refused, failed, not finished    never
//	unknown                          at most once
//
// Unknown is only what may have been committed: the Query, the Sync or the COMMIT that would do it was sent, and its answer
// was not read, or said that the server was lost. A number that was refused and tried again has one line for each try, and
// their sum counts.
//
//	LEDGER=1h          how long TestLedger plays, in rounds of half a minute
//	LEDGER_SEED=7      from which seed on, as far as what happens at once can be repeated
//	LEDGER_DIRECT=1    without a guard: what fails then is wrong in this test
//	LEDGER_KEEP=1      go on after a round that has failed, and count what fails
//	LEDGER_WITHOUT=re  leave out forms, of a fault that is found and not repaired
package ledger
