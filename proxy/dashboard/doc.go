// Package dashboard is the page that says what is wrong: its files, what it shows, and the history that its charts are drawn from. It is fed
// once a second by package witness, and is off the path of the data.
package dashboard
