package metrics

import "github.com/prometheus/client_golang/prometheus"

// all holds every description that desc made, in the order of the page.
var all []*prometheus.Desc

func desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("pgguard_"+name, help, labels, nil)
	all = append(all, d)
	return d
}

// The metrics. A name is part of the public surface: it stays.
var (
	verdict   = desc("verdict", "1 for the state that the verdict on a database is.", "database", "state")
	incidents = desc("incidents_total", "Times in which something was wrong, that have begun.")
	linesLost = desc("incident_lines_lost_total", "Lines that the file of incidents has not taken, and never will.")

	clients       = desc("clients", "Client connections by state.", "state")
	pinnedClients = desc("pinned_clients", "Clients that keep their server, by what they left in it.", "reason")
	draining      = desc("draining", "1 while the guard finishes transactions before it ends.")

	servers    = desc("servers", "Server connections by state.", "database", "state")
	maxServers = desc("max_servers", "The cap on server connections.", "database")
	changes    = desc("limit_changes_total", "How often the run limit was changed.", "database")
	limit      = desc("limit", "How many statements may run at once.", "database")
	running    = desc("running", "Statements running at once.", "database")
	up         = desc("up", "1 if the PostgreSQL instance can serve, by the last login or a server in use.", "database")

	queueLength = desc("queue_length", "Statements waiting for a server or a run token.", "database", "class")
	queueWait   = desc("queue_wait_seconds", "Time from a request for a server to its grant or refusal.", "class")

	queryTime             = desc("query_seconds", "Time from a client's first message to its ReadyForQuery.", "class")
	transactionTime       = desc("transaction_seconds", "Time from a transaction's first statement to its end.", "class")
	idleInTransactionTime = desc("idle_in_transaction_seconds", "Time that a transaction waited for its client.", "class")

	refusals    = desc("refusals_total", "Statements and logins answered with an error in the database's place.", "reason", "class")
	wouldRefuse = desc("would_refuse_total", "Statements that mode enforce would have refused.", "reason", "class")

	breakerState       = desc("breaker_state", "1 for the state that the breaker is in.", "database", "state")
	breakerTransitions = desc("breaker_transitions_total", "Changes of the breaker, by the state it changed to.", "database", "state")

	logins    = desc("server_logins_total", "Logins to the server by result.", "database", "result")
	loginTime = desc("server_login_seconds", "Time that a login to a server took.")

	pins    = desc("pins_total", "Clients that began to keep their server, by what they left in it.", "reason")
	cancels = desc("cancels_total", "Cancel requests by what became of them.", "result")
	queries = desc("queries_total", "Finished exchanges: a client's first message to its ReadyForQuery.", "class")
	traffic = desc("bytes_total", "Bytes received from clients (in) and sent to them (out).", "direction")
	panics  = desc("panics_total", "Sessions ended by a fault in the guard itself.")
)
