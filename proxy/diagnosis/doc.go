// Package diagnosis says in one sentence what is wrong, who causes it, what the guard did about it and what to do.
//
// A Sight is what one look at the guard and one PostgreSQL showed. A Judge is shown one a second, and returns a Verdict each time. Both
// are values: the package reads no clock, opens nothing, starts nothing and logs nothing, so that what it says can be held as text.
package diagnosis
