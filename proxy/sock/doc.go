// Package sock is one socket: it reads what has come into a borrowed buffer, and writes without holding up the processor.
package sock
