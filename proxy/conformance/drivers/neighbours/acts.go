package neighbours

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
)

// act is one thing that neighbours do. It leaves the session outside a transaction.
type act struct {
	name string
	do   func(*neighbour, context.Context) error
}

var acts = []act{
	{"settings", (*neighbour).lookAtSettings},
	{"prepared", (*neighbour).prepared},
	{"prepared", (*neighbour).prepared},
	{"prepared", (*neighbour).prepared},
	{"deallocate", (*neighbour).deallocate},
	{"temp table", (*neighbour).tempTable},
	{"errors", (*neighbour).errors},
	{"savepoints", (*neighbour).savepoints},
	{"undone settings", (*neighbour).undoneSettings},
	{"many at once", (*neighbour).manyAtOnce},
	{"copy", (*neighbour).copyOut},
	{"cursor", (*neighbour).cursor},
	{"notify", (*neighbour).notify},
	{"reconnect", (*neighbour).reconnect},
}

// act does one random thing and returns its name. Neighbour 0 alone does what ties a session to a server: the guard
// bounds how many may, and that bound is for the drivers under test.
func (nb *neighbour) act(ctx context.Context) (string, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if nb.id == 0 {
		return "tied", nb.tied(ctx)
	}
	a := acts[nb.rnd.IntN(len(acts))]
	return a.name, a.do(nb, ctx)
}

func (nb *neighbour) lookAtSettings(ctx context.Context) error {
	list := nb.settings()
	s := list[nb.rnd.IntN(len(list))]
	return nb.wants(ctx, "select current_setting('"+s[0]+"')", s[1])
}

// names are those the drivers choose for their statements.
var names = []string{
	"a1", "a2", "a3", "stmtcache_1", "lrupsc_1_0", "_pg3_0", "_pg3_1", "__asyncpg_stmt_1__", "S_1", "S_2", "1", "2", "stmt", "named",
	"p0", "p1", "pgx_0",
}

// prepared runs a statement under a name that others use for something else, and prepares it first where needed.
func (nb *neighbour) prepared(ctx context.Context) error {
	name := names[nb.rnd.IntN(len(names))]
	text, known := nb.known[name]
	if !known {
		text = fmt.Sprintf("select 'neighbour %d', '%s', $1::int + %d", nb.id, name, nb.rnd.IntN(5))
		if _, err := nb.conn.Prepare(ctx, name, text, nil); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
		nb.known[name] = text
	}
	plus, err := strconv.Atoi(text[len(text)-1:])
	if err != nil {
		panic(err) // the text above ends in a digit
	}
	arg := nb.rnd.IntN(1000)
	res := nb.conn.ExecPrepared(ctx, name, [][]byte{[]byte(strconv.Itoa(arg))}, nil, nil).Read()
	return check(res, name, fmt.Sprintf("neighbour %d|%s|%d", nb.id, name, arg+plus))
}

// deallocate drops one statement by SQL or by protocol, or all.
func (nb *neighbour) deallocate(ctx context.Context) error {
	if nb.rnd.IntN(5) == 0 {
		clear(nb.known)
		return nb.run(ctx, "deallocate all")
	}
	for name := range nb.known {
		delete(nb.known, name)
		if nb.rnd.IntN(2) == 0 {
			return nb.conn.Deallocate(ctx, name)
		}
		if err := nb.run(ctx, `deallocate "`+name+`"`); err != nil {
			return err
		}
		res := nb.conn.ExecPrepared(ctx, name, [][]byte{[]byte("1")}, nil, nil).Read()
		if codeOf(res.Err) != "26000" {
			return fmt.Errorf("%s is gone: want SQLSTATE 26000, got %w", name, errOrNone(res.Err))
		}
		return nil
	}
	return nil
}

func (nb *neighbour) tempTable(ctx context.Context) error {
	if err := nb.run(ctx, "begin; create temp table items (id int, owner text) on commit drop"); err != nil {
		return err
	}
	if err := nb.run(ctx, fmt.Sprintf("insert into items select n, 'neighbour %d' from generate_series(1, 10) n", nb.id)); err != nil {
		return err
	}
	if err := nb.wants(ctx, "select count(*) from items", "10"); err != nil {
		return err
	}
	return nb.run(ctx, []string{"commit", "rollback"}[nb.rnd.IntN(2)])
}

func (nb *neighbour) errors(ctx context.Context) error {
	if err := nb.fails(ctx, "select 1/0", "22012"); err != nil {
		return err
	}
	if err := nb.fails(ctx, "select * from nowhere", "42P01"); err != nil {
		return err
	}
	if err := nb.run(ctx, "begin; select 1"); err != nil {
		return err
	}
	if res := nb.conn.ExecParams(ctx, "select $1::int / 0", [][]byte{[]byte("1")}, nil, nil, nil).Read(); codeOf(res.Err) != "22012" {
		return fmt.Errorf("divide in a block: want SQLSTATE 22012, got %w", errOrNone(res.Err))
	}
	if err := nb.fails(ctx, "select 1", "25P02"); err != nil {
		return err
	}
	return nb.run(ctx, "rollback")
}

func (nb *neighbour) savepoints(ctx context.Context) error {
	if err := nb.run(ctx, "begin; savepoint a"); err != nil {
		return err
	}
	if err := nb.fails(ctx, "select 'x'::int", "22P02"); err != nil {
		return err
	}
	if err := nb.run(ctx, "rollback to a"); err != nil {
		return err
	}
	if err := nb.wants(ctx, "select 'still here'", "still here"); err != nil {
		return err
	}
	return nb.run(ctx, "commit")
}

func (nb *neighbour) undoneSettings(ctx context.Context) error {
	if err := nb.run(ctx, "begin; set work_mem = '77MB'; set local app.owner = 'nobody'; set time zone 'Asia/Tokyo'"); err != nil {
		return err
	}
	if err := nb.wants(ctx, "select current_setting('work_mem') || current_setting('app.owner')", "77MBnobody"); err != nil {
		return err
	}
	if err := nb.run(ctx, "rollback"); err != nil {
		return err
	}
	return nb.lookAtSettings(ctx)
}

func (nb *neighbour) manyAtOnce(ctx context.Context) error {
	results, err := nb.conn.Exec(ctx, "select 1; begin; select 2; commit; select current_setting('app.owner')").ReadAll()
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return fmt.Errorf("many at once: no result")
	}
	return check(results[len(results)-1], "many at once", fmt.Sprintf("neighbour %d", nb.id))
}

func (nb *neighbour) copyOut(ctx context.Context) error {
	var out bytes.Buffer
	if _, err := nb.conn.CopyTo(ctx, &out, "copy (select current_setting('app.owner') from generate_series(1, 100)) to stdout"); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	want := bytes.Repeat([]byte(fmt.Sprintf("neighbour %d\n", nb.id)), 100)
	if !bytes.Equal(out.Bytes(), want) {
		return fmt.Errorf("copy: got %d bytes, %.40q…", out.Len(), out.Bytes())
	}
	return nil
}

func (nb *neighbour) cursor(ctx context.Context) error {
	text := fmt.Sprintf("begin; declare c cursor for select n + %d from generate_series(1, 100) n; fetch 1 from c", nb.id)
	if err := nb.run(ctx, text); err != nil {
		return err
	}
	if err := nb.wants(ctx, "fetch 1 from c", strconv.Itoa(nb.id+2)); err != nil {
		return err
	}
	return nb.run(ctx, "commit")
}

func (nb *neighbour) notify(ctx context.Context) error {
	return nb.run(ctx, "notify neighbours, 'noise'")
}

func (nb *neighbour) reconnect(ctx context.Context) error {
	nb.leave()
	if err := nb.enter(ctx); err != nil {
		return err
	}
	return nb.lookAtSettings(ctx)
}

// tied makes a session that cannot move, uses it, and unties it: by undoing it, by DISCARD ALL, or by leaving.
func (nb *neighbour) tied(ctx context.Context) error {
	for _, text := range []string{
		"create temp table items as select 7 as id", "select pg_advisory_lock(424242)", "listen neighbours",
		"begin", "declare held cursor with hold for select 8", "commit",
	} {
		if err := nb.run(ctx, text); err != nil {
			return err
		}
	}
	if err := nb.wants(ctx, "select id from items", "7"); err != nil {
		return err
	}
	if err := nb.wants(ctx, "fetch 1 from held", "8"); err != nil {
		return err
	}
	switch nb.rnd.IntN(3) {
	case 0:
		return nb.reconnect(ctx)
	case 1:
		if err := nb.run(ctx, "discard all"); err != nil {
			return err
		}
		nb.leave()
		return nb.enter(ctx)
	}
	if err := nb.run(ctx, "drop table items; close held; unlisten *"); err != nil {
		return err
	}
	if err := nb.wants(ctx, "select pg_advisory_unlock(424242)", "t"); err != nil {
		return err
	}
	return nb.lookAtSettings(ctx)
}
