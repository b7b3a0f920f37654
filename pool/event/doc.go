// Package event keeps the last things that the guard decided, so that each can be explained afterwards: what changed, why,
// and the numbers that it was decided on. It reads no clock and does no IO.
package event
