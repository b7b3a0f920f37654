package main

import (
	"fmt"
	"log/slog"

	"pgguard/proxy"
)

const (
	// reservedFiles are for listeners, HTTP (admin.MaxConns), the console (proxy.MaxOperators), the side channels, names being looked up, the log, and those who are one too
	// many and must be told so. Running out of them would stop exactly what must work under pressure.
	reservedFiles = 96
	// autoServers stands for the cap where it is measured from the server: more than nearly every max_connections.
	autoServers = 500
	// fewestClients is the least that lowering max_clients may leave; below it the guard would be the outage.
	fewestClients = 256
)

// needFiles returns how many file descriptors c needs.
func needFiles(c proxy.Config) int {
	servers := c.Pool.MaxServers
	if servers == 0 {
		servers = autoServers
	}
	return c.MaxClients + instances(c)*servers + reservedFiles
}

// instances is how many PostgreSQL servers c names.
func instances(c proxy.Config) int {
	seen := map[string]bool{}
	if c.Upstream.Host != "" {
		seen[c.Upstream.Identity()] = true
	}
	for _, db := range c.Databases {
		seen[db.Upstream.Identity()] = true
	}
	return max(1, len(seen))
}

// fitFiles returns the most clients, up to c.MaxClients, that have room under a limit of open files. The error says how
// to raise the limit.
func fitFiles(c proxy.Config, limit uint64) (clients int, err error) {
	need := needFiles(c)
	if uint64(need) <= limit {
		return c.MaxClients, nil
	}
	clients = int(limit) - (need - c.MaxClients)
	if clients < min(fewestClients, c.MaxClients) {
		return 0, fmt.Errorf("only %d files may be open at once, and %d clients and their servers need %d: raise the limit "+
			"with ulimit -n %d in the shell, LimitNOFILE=%d in a systemd unit or --ulimit nofile=%d for a container, "+
			"or lower max_clients and pool.max_servers", limit, c.MaxClients, need, need, need, need)
	}
	return clients, nil
}

// provideFiles raises the limit of open files to what c needs, as far as the system lets it, and lowers c.MaxClients to
// what fits, with a warning. Clients, those who are not logged in yet, and servers are each told what is theirs.
func provideFiles(c *proxy.Config, log *slog.Logger) error {
	limit, err := raiseFileLimit(uint64(needFiles(*c) + proxy.MaxSilent))
	if err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	limit = min(limit, 1<<30) // no limit is as good as this
	clients, err := fitFiles(*c, limit)
	if err != nil {
		return err
	}
	if clients < c.MaxClients {
		log.Warn("max_clients is lowered: the limit of open files is too low for more",
			"max_clients", clients, "configured", c.MaxClients, "file_limit", limit, "file_limit_needed", needFiles(*c))
	}
	servers := needFiles(*c) - c.MaxClients - reservedFiles
	c.MaxClients = clients
	c.Files = min(int(limit)-servers-reservedFiles, clients+proxy.MaxSilent)
	c.ServerFiles = (int(limit) - reservedFiles - c.Files) / instances(*c)
	return nil
}
