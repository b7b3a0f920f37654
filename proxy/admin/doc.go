// Package admin answers over HTTP how a proxy is: alive, ready, its state and its metrics.
//
// Nothing changes anything but the Acts of who knows the token, and nothing else asks the database: a probe that
// needs a busy database to answer would end the guard when it is needed most.
package admin
