// Package witness looks at the guard once a second, has package diagnosis say what is wrong, and keeps what was said. It is off the path of
// the data: it takes what the guard counts anyway.
package witness
