// Package difference proves the guard by difference: a random client session, run directly against PostgreSQL and run
// through the guard beside hostile neighbours, must be told the same things in the same order.
//
// # A session
//
// A [script] is what one client does, step by step, at the level of protocol messages. It also says what happens around
// the client on the way: the neighbour steps. On the direct connection they are left out. In front of the guard there are
// two server connections; at each neighbour step the neighbours exchange theirs, so that the client finds its next
// statement on a server in which somebody else has just been, with other settings, other texts under the same names, errors
// and transactions left open. A visitor comes, does something and leaves at once. Each step ends before the next begins, so
// that a script plays the same way each time. Every other guard is noisy instead: its neighbours do what they like while
// the client works, for what only happens when two things happen at once.
//
// A client may leave in the middle: with a batch that has no Sync, in a COPY, with half a message, in a transaction. The next
// client then goes on with the script.
//
// # Guards that refuse
//
// Some guards let one statement run at a time, and refuse the client who has waited for a while, for whom there is no room in
// the line, or who cancels; a neighbour holds what there is. What is refused must be refused as a whole, with one error, and
// is sent again. Then what the guard has taken is played directly, in the order in which it took it.
//
// # When the world changes
//
// In the scripts of TestWorld somebody changes the world beside the client: tables, views, types and functions that its statements are
// about, made anew under the same names or altered there and back, and what roles, databases and the cluster begin sessions with. That
// comes past the guard, by a connection of its own to PostgreSQL, or through a second guard; what they were told is a line of the transcript. Then
// nothing is sent to the guard for as long as it may take to learn of that, and after it everything must be as it is directly: for
// statements prepared before, in whatever form their arguments come, for texts prepared anew, and for who logs in. Guards of the kind changing read texts anew after
// a tenth of a second, so that many changes are played; the kind unhurried has the usual second. Settings are learned of within a
// second and a half by both.
//
// # What is compared
//
// The transcript: every message the client was sent, in order, field by field. normalise lists the little that must
// differ from one run to another; known lists what does differ, with the reason why that is accepted. A client that leaves
// is told nothing more: what is in the tables then is compared. Each thing it does leaves a number there, so that the guard
// may have done less, from some place on, but never more, nor what comes behind a gap, unless it may refuse single statements.
//
// # When there is a difference
//
// The script is made smaller while it still differs and then printed with both transcripts. Saved in
// testdata, under a name that says what went wrong, it is played by TestNamed for ever after.
//
//	DIFFERENCE=1h                    how long TestDifference plays
//	DIFFERENCE_WORLD=30m             how long TestWorld plays
//	DIFFERENCE_SEED=7                from which seed on
//	DIFFERENCE_GUARD=impatient       only this kind of guard: plain, impatient, cancelling, full or narrow
//	DIFFERENCE_WITHOUT='listen|load' leaves out texts, of a fault that is found and not repaired
package difference
