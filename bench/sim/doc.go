// Package sim runs the guard's limit and queue against a simulated PostgreSQL server: discrete events in virtual time,
// one goroutine, everything drawn from a seed. It says how near a law comes to the best static limit, which nobody can
// know beforehand. The objects that decide (pool/limit, pool/queue, breaker) are those of the proxy; the server, its
// clients and the operator are models. A law that does well here is not proved good in the world; one that does badly
// here is proved bad.
package sim
