package bench

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// versionPatience is how long a program may take to say its version.
const versionPatience = 5 * time.Second

// programVersion returns the first two words that the program prints for the argument, such as "PgBouncer 1.25.2", or ""
// when it does not say.
func programVersion(ctx context.Context, path, argument string) string {
	ctx, cancel := context.WithTimeout(ctx, versionPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, argument).Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) < 2 {
		return ""
	}
	return words[0] + " " + words[1]
}

// version names the program behind the target; server is server_version_num. Where nobody says, it is the target's name.
func (t Target) version(ctx context.Context, server int) string {
	said := ""
	switch t.Kind {
	case Direct:
		said = fmt.Sprintf("PostgreSQL %d.%d", server/10000, server%10000)
	case PgBouncer:
		if path, err := findPgBouncer(t.Path); err == nil {
			said = programVersion(ctx, path, "--version")
		}
	case Guard:
		said = programVersion(ctx, t.Path, "version")
	case Address:
	}
	if said == "" {
		return t.Name
	}
	return said
}
