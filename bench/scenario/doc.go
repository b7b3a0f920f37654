// Package scenario makes a kind of trouble and measures who survives it.
//
// A scenario prepares the server once, then runs against one target at a time; what it says about the target is a
// report.Run. Story is the incident this project is about, Spiral the collapse under too many workers, Steady the price
// of a proxy when nothing is wrong.
package scenario
