package pool

import (
	"fmt"
	"slices"
	"time"

	"pgguard/pool/queue"
)

// Config is what one pool is told; Default gives values that need no tuning.
type Config struct {
	// MaxServers is the cap H on server connections; 0 has it measured from the server (Pool.SetCaps).
	MaxServers int
	// Dials bounds how many logins to the server run at once. Each costs it a new process, so that more than a few make a
	// busy server slower; fewer refill an empty pool slowly.
	Dials int
	// IdleTimeout closes a server that nobody used for this long; 0 keeps it.
	IdleTimeout time.Duration
	// Lifetime closes a server this long after its login, between two leases; 0 keeps it. Both times vary by up to a
	// tenth from server to server, so that a pool filled at once does not empty at once.
	Lifetime time.Duration
	// Classes are the kinds of work, most important first. At least one.
	Classes []queue.Class
}

// Default returns the configuration of a pool nobody has tuned.
func Default() Config {
	return Config{
		Dials:       4,
		IdleTimeout: 10 * time.Minute,
		Lifetime:    time.Hour,
		Classes: []queue.Class{
			{Name: "high", Weight: 4, MaxWait: 5 * time.Second, MaxLength: 10_000, MaxShare: 1, Interactive: true},
			{Name: "low", Weight: 1, MaxWait: 30 * time.Second, MaxLength: 10_000, MaxShare: 0.75},
		},
	}
}

// mixed says whether there are interactive classes.
func (c *Config) mixed() bool {
	return slices.ContainsFunc(c.Classes, func(k queue.Class) bool { return k.Interactive })
}

// Validate returns every fault of c, each a plain sentence that starts with the name of the key.
func (c Config) Validate() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.MaxServers < 0 {
		bad("max_servers: %d is negative; give a number of connections or auto", c.MaxServers)
	}
	if c.Dials < 1 {
		bad("dials: %d is less than 1; no server could ever be opened", c.Dials)
	}
	if c.IdleTimeout < 0 {
		bad("idle_timeout: %s is negative; 0 keeps idle servers", c.IdleTimeout)
	}
	if c.Lifetime < 0 {
		bad("lifetime: %s is negative; 0 keeps servers for ever", c.Lifetime)
	}
	if len(c.Classes) == 0 {
		bad("classes: there must be at least one")
	}
	if len(c.Classes) > queue.MaxClasses {
		bad("classes: there are %d, more than %d", len(c.Classes), queue.MaxClasses)
	}
	for i, k := range c.Classes {
		switch {
		case k.Name == "":
			bad("classes[%d].name: is empty", i)
		case k.Weight < 1:
			bad("classes[%d].weight: %d is less than 1", i, k.Weight)
		case k.MaxWait <= 0:
			bad("classes[%d].max_wait: %s is not a positive time", i, k.MaxWait)
		case k.MaxLength < 1:
			bad("classes[%d].max_length: %d is less than 1", i, k.MaxLength)
		case !(k.MaxShare > 0 && k.MaxShare <= 1):
			bad("classes[%d].max_share: %v is not above 0 and up to 1", i, k.MaxShare)
		}
	}
	return faults
}
