// Package queue orders waiting work: by class, weighted between classes, in order of arrival within one, each with a
// longest wait and a bounded length. It is pure: no clock, no goroutine, no IO; time arrives as an argument.
package queue
