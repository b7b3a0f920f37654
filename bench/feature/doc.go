// Package feature asks an address, feature by feature, whether a client there has what a client of PostgreSQL has.
//
// A Feature is a short dialogue of a few clients, spoken in raw protocol messages because drivers hide and repair what is
// looked for here. While it runs, neighbours work on the same database as the same user, so that a pooler moves every
// client from server to server; they also look for settings that are not theirs. All lists the features, Run tries one.
package feature
