package neighbours

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// patience bounds one act, a login included; the guard's own longest wait is well below it.
const patience = 30 * time.Second

// neighbour is one client with a session of its own making.
type neighbour struct {
	id      int
	address string
	rnd     *rand.Rand
	conn    *pgconn.PgConn
	known   map[string]string // text of each prepared statement by its name
}

// settings are what this neighbour has set in its session, and nobody else has.
func (nb *neighbour) settings() [][2]string {
	return [][2]string{
		{"work_mem", strconv.Itoa(2049+nb.id) + "kB"},
		{"search_path", "neighbour" + strconv.Itoa(nb.id) + ", pg_catalog"},
		{"TimeZone", "<+" + fmt.Sprintf("%02d", 1+nb.id%12) + ">-" + fmt.Sprintf("%02d", 1+nb.id%12)},
		{"DateStyle", []string{"German, DMY", "SQL, MDY", "Postgres, DMY"}[nb.id%3]},
		{"lock_timeout", strconv.Itoa(7001+nb.id) + "ms"},
		{"app.owner", "neighbour " + strconv.Itoa(nb.id)},
		{"standard_conforming_strings", []string{"on", "off"}[nb.id%2]},
		{"IntervalStyle", []string{"iso_8601", "sql_standard"}[nb.id%2]},
		{"default_transaction_isolation", []string{"read committed", "repeatable read", "serializable"}[nb.id%3]},
		{"extra_float_digits", strconv.Itoa(nb.id%5 - 2)},
		{"enable_seqscan", []string{"on", "off"}[nb.id%2]},
	}
}

// enter connects and sets the session up.
func (nb *neighbour) enter(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	conn, err := pgconn.Connect(ctx, nb.address)
	if err != nil {
		return err
	}
	nb.conn, nb.known = conn, map[string]string{}
	for _, s := range nb.settings() {
		text := "set " + s[0] + " to '" + s[1] + "'"
		if s[0] == "search_path" || s[0] == "DateStyle" {
			text = "set " + s[0] + " to " + s[1]
		}
		if err := nb.run(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// leave closes the connection; a quarter of the time without a word, as a killed process does.
func (nb *neighbour) leave() {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if nb.rnd.IntN(4) == 0 {
		_ = nb.conn.Conn().Close() // it is left, not ended
	}
	_ = nb.conn.Close(ctx) // it may have been closed
}

// run runs a text as a simple query and wants no error.
func (nb *neighbour) run(ctx context.Context, text string) error {
	if _, err := nb.conn.Exec(ctx, text).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// fails runs a text as a simple query and wants this SQLSTATE.
func (nb *neighbour) fails(ctx context.Context, text, code string) error {
	_, err := nb.conn.Exec(ctx, text).ReadAll()
	if err == nil || codeOf(err) != code {
		return fmt.Errorf("%s: want SQLSTATE %s, got %w", text, code, errOrNone(err))
	}
	return nil
}

var errNone = errors.New("no error")

func errOrNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// wants runs a text and wants one row of one column: as a simple query, or with an unnamed statement.
func (nb *neighbour) wants(ctx context.Context, text, want string) error {
	var res *pgconn.Result
	if nb.rnd.IntN(2) == 0 {
		results, err := nb.conn.Exec(ctx, text).ReadAll()
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		res = results[len(results)-1]
	} else {
		res = nb.conn.ExecParams(ctx, text, nil, nil, nil, nil).Read()
	}
	return check(res, text, want)
}

// check wants one row of one column.
func check(res *pgconn.Result, text, want string) error {
	if res.Err != nil {
		return fmt.Errorf("%s: %w", text, res.Err)
	}
	var rows []string
	for _, row := range res.Rows {
		for _, v := range row {
			rows = append(rows, string(v))
		}
	}
	if got := strings.Join(rows, "|"); got != want {
		return fmt.Errorf("%s: got %q, want %q", text, got, want)
	}
	return nil
}
