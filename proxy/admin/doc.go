// Package admin answers over HTTP how a proxy is: alive, ready, its state and its metrics.
//
// Nothing here changes anything, so there is no method but GET (and HEAD), and nothing asks the database: a probe that
// needs a busy database to answer would end the guard when it is needed most.
package admin
