// Package queue orders waiting work: by class, weighted between classes; within one by client in turn, and for each in
// order of arrival; each class with a longest wait and a bounded length. The waits of an interactive class that is
// overloaded end sooner, and its newest may go first. It is pure: no clock, no goroutine, no IO; time arrives as an
// argument.
package queue
