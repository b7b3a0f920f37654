// Package wire frames the PostgreSQL protocol, version 3, and decodes the few messages that a proxy must understand.
//
// It works on byte slices and io.Reader only and keeps no state between calls. Rows and parameters are never decoded:
// a message is a type byte, a length and a body that passes through unread.
package wire
