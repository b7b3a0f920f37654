//go:build doors

package doors

import (
	"fmt"
	"strings"
	"sync"
)

// document is what is found, for people.
type document struct {
	drivers []driver
	servers []int

	mu    sync.Mutex
	cells map[string]map[string]string // guarded by mu: by row and method of the server
	tries int                          // guarded by mu
}

// note keeps what a cell says; where servers of several versions differ, all that they say.
func (d *document) note(row, server, says string, tries int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries += tries
	if d.cells[row] == nil {
		d.cells[row] = map[string]string{}
	}
	if before := d.cells[row][server]; before != "" && before != says {
		says = before + ", " + says
	}
	d.cells[row][server] = says
}

// String is the document in Markdown.
func (d *document) String() string {
	var b strings.Builder
	b.WriteString(`# Who comes in

<!-- Written by make doors; do not edit. -->

How clients prove who they are (a row: ` + "`auth.method`" + ` or a rule's) and how PostgreSQL asks pgguard (a column: the method in pg_hba.conf) go together in any
way. In each cell a client comes in exactly where PostgreSQL itself lets it in by both methods, as the same user, and who is refused is told
what PostgreSQL would say: tried with what is right, what is wrong, a user with an md5 secret and one that is not there.

- yes: nothing need be configured beyond ` + "`auth.query: auto`" + `, where the client's method asks for a password.
- password file: pgguard cannot know the password that the server asks for, because the client did not tell it (trust, peer, cert) or only proved that it
  knows it (md5, scram-sha-256, where the server wants the password itself). It stands in the password file that the upstream names (` + "`passfile`" + `); that of the
  upstream's own user may stand in its URL instead.

`)
	b.WriteString("| client | " + strings.Join(serverMethods, " | ") + " |\n|---" + strings.Repeat("|---", len(serverMethods)) + "|\n")
	for _, r := range rows() {
		b.WriteString("| " + r.String())
		for _, s := range serverMethods {
			b.WriteString(" | " + d.cells[r.String()][s])
		}
		b.WriteString(" |\n")
	}
	var names []string
	for _, x := range d.drivers {
		names = append(names, x.name)
	}
	var servers []string
	for _, v := range d.servers {
		servers = append(servers, fmt.Sprint(v))
	}
	fmt.Fprintf(&b, "\nThe same with each driver (%s; pgjdbc knows no unix sockets) and PostgreSQL %s: %d attempts to come in, each beside PostgreSQL's own answer.\n", strings.Join(names, ", "), strings.Join(servers, " and "), d.tries)
	return b.String()
}
