package main

import "pgguard/proxy/config/pgbouncer"

// convertCmd says a configuration of PgBouncer in pgguard's words.
type convertCmd struct {
	File string `arg:"" help:"PgBouncer's configuration, pgbouncer.ini. Files that it names without a path are looked for where this is run."`
}

// Run prints the configuration, or returns the faults.
func (c *convertCmd) Run(e *env) error {
	out, err := pgbouncer.Convert(c.File)
	if err != nil {
		return usageError{err}
	}
	_, err = e.out.Write(out.YAML)
	return err
}
