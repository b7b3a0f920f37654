//go:build pg

package ledger

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy/pgtest"
)

// shown is how many faults a round shows with their histories, each of another signature.
const shown = 6

// round is one table, the guards before it, and all that happens to it.
type round struct {
	cluster *pgtest.Cluster
	tap     *pgtest.Tap // before the cluster, for some doors
	table   string
	putOID  uint32
	direct  bool
	doors   []*door
	ends    chan struct{} // closed when clients are to leave
	next    atomic.Int64  // the last number taken
	still   atomic.Bool   // PostgreSQL is not going to be restarted soon

	mu     gosync.Mutex
	counts map[string]int // guarded by mu
	faults []fault        // guarded by mu
}

// fault is something that is wrong.
type fault struct {
	kind, text string
	life       *chapter
}

func (r *round) put() string  { return r.table + "_put" }
func (r *round) fail() string { return r.table + "_fail" }

// over is whether clients are to leave.
func (r *round) over() bool {
	select {
	case <-r.ends:
		return true
	default:
		return false
	}
}

func (r *round) count(what string) {
	r.mu.Lock()
	r.counts[what]++
	r.mu.Unlock()
}

func (r *round) report(kind, text string, life *chapter) {
	r.mu.Lock()
	r.faults = append(r.faults, fault{kind, text, life})
	r.mu.Unlock()
}

// fixture makes the table of a round and what goes with it. A row that is late fails at the end of its transaction; one whose note
// is a number fails with an error that is so long.
const fixture = `
	do $$ begin if to_regrole('writer') is null then create role writer superuser login; end if; end $$;
	create table T (id bigint not null, note text, late bool, pid int default pg_backend_pid(), at timestamptz default clock_timestamp());
	create table T_hot (k int primary key, n int);
	insert into T_hot select k, 0 from generate_series(0, 2) k;
	create function T_put(bigint) returns bigint language sql as 'insert into T (id) values ($1) returning id';
	create function T_fail(i bigint, size int) returns bigint language plpgsql as $$
		begin insert into T (id) values (i); raise exception '%', repeat('e', size); end $$;
	create function T_say(i bigint, size int) returns bigint language plpgsql as $$
		begin insert into T (id) values (i); raise notice '%', repeat('n', size); return i; end $$;
	create function T_long() returns trigger language plpgsql as $$
		begin raise exception '%', repeat('e', new.note::int); end $$;
	create trigger T_long before insert on T for each row when (new.note ~ '^[0-9]+$') execute function T_long();
	create function T_late() returns trigger language plpgsql as $$
		begin raise exception 'row % is late', new.id; end $$;
	create constraint trigger T_late after insert on T deferrable initially deferred
		for each row when (new.late) execute function T_late()`

// remains drops what fixture has made.
const remains = `drop table T, T_hot; drop function T_put, T_fail, T_say, T_long, T_late`

// admin connects past every guard.
func (r *round) admin(ctx context.Context) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, r.cluster.URL("postgres")+"&application_name=ledger")
}

// rows runs a query and returns the first result's rows as text.
func rows(ctx context.Context, conn *pgconn.PgConn, text string) (out [][]string, err error) {
	results, err := conn.Exec(ctx, text).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range results[0].Rows {
		var cells []string
		for _, v := range row {
			cells = append(cells, string(v))
		}
		out = append(out, cells)
	}
	return out, nil
}

// replaced is a text with the name of a table for T.
func replaced(text, table string) string {
	return strings.NewReplacer("T_", table+"_", "T ", table+" ", "T,", table+",").Replace(text)
}

// prepare makes the table and opens the doors.
func (r *round) prepare(ctx context.Context, rnd *rand.Rand) error {
	conn, err := r.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, replaced(fixture, r.table)).ReadAll(); err != nil {
		return err
	}
	oid, err := rows(ctx, conn, "select '"+r.put()+"'::regproc::oid")
	if err != nil {
		return err
	}
	if _, err := fmt.Sscan(oid[0][0], &r.putOID); err != nil {
		return err
	}
	for _, d := range r.doors {
		addr := net.JoinHostPort(r.cluster.Host(), strconv.Itoa(r.cluster.Port()))
		if d.tapped {
			addr = r.tap.Addr()
		}
		if err := d.open(addr, r.direct, rnd); err != nil {
			return err
		}
	}
	return nil
}

// play plays a round of length d and compares.
func play(t *testing.T, c *pgtest.Cluster, tap *pgtest.Tap, seed uint64, direct bool, d time.Duration) *round {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := &round{
		cluster: c, tap: tap, table: fmt.Sprintf("ledger_%d", seed), direct: direct, doors: doors(), ends: make(chan struct{}),
		counts: map[string]int{},
	}
	if err := r.prepare(t.Context(), rnd); err != nil {
		t.Fatal(err)
	}
	var clients []*client
	var playing gosync.WaitGroup
	for _, at := range r.doors {
		for n := range at.clients {
			k := &client{
				round: r, door: at, name: fmt.Sprintf("%s-%d", at.name, n),
				rnd: rand.New(rand.NewPCG(seed, uint64(1+len(clients)))), sleeps: n < at.sleepy,
			}
			clients = append(clients, k)
			playing.Go(k.live)
		}
	}
	if err := r.disturb(t.Context(), rnd, time.Now().Add(d)); err != nil {
		t.Errorf("the disturbance: %v", err)
	}
	close(r.ends)
	playing.Wait()
	r.settle(t, clients)
	lines := r.judge(t, clients)
	for _, at := range r.doors {
		if err := at.close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("seed %d: %s", seed, lines)
	if len(r.faults) == 0 {
		if err := r.cluster.Exec(t.Context(), replaced(remains, r.table)); err != nil {
			t.Errorf("drop what is left of the round: %v", err)
		}
	}
	return r
}

// settle waits until nothing runs any more.
func (r *round) settle(t *testing.T, clients []*client) {
	t.Helper()
	const busy = `select pid, application_name, state, query from pg_stat_activity where backend_type = 'client backend'
		and pid <> pg_backend_pid() and state <> 'idle'`
	conn, err := r.admin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // between two looks at a condition
		left, err := rows(t.Context(), conn, busy)
		if err != nil {
			t.Fatal(err)
		}
		loud := slices.DeleteFunc(slices.Clone(r.doors), (*door).quiet)
		if len(left) == 0 && len(loud) == 0 {
			return
		}
		if time.Now().After(end) {
			for _, d := range loud {
				r.report("hang", fmt.Sprintf("guard %q is not quiet after all clients have left: %s", d.name, d.state()), nil)
			}
			for _, row := range left {
				r.report("hang", fmt.Sprintf("a server is not idle after all clients have left: %q", row), author(clients, row[3]))
			}
			return
		}
	}
}

// author is in whose life a text was sent, as far as that can be told by a row's number in it.
func author(clients []*client, text string) *chapter {
	for _, c := range clients {
		for _, a := range c.book {
			if slices.Contains(digits.FindAllString(text, -1), strconv.FormatInt(a.id, 10)) {
				return a.life
			}
		}
	}
	return nil
}

// judge holds the ledgers against the table, and says what was played.
func (r *round) judge(t *testing.T, clients []*client) string {
	t.Helper()
	conn, err := r.admin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	list, err := rows(t.Context(), conn, "select id, count(*), string_agg(pid || ' at ' || at, ', ') from "+r.table+" group by id")
	if err != nil {
		t.Fatal(err)
	}
	there, how := map[int64]int{}, map[int64]string{}
	for _, row := range list {
		var id int64
		var n int
		if _, err := fmt.Sscan(row[0]+" "+row[1], &id, &n); err != nil {
			t.Fatal(err)
		}
		there[id], how[id] = n, row[2]
	}
	tried := map[int64][]*attempt{}
	outcomes := map[string]int{}
	total := 0
	for _, c := range clients {
		for _, a := range c.book {
			tried[a.id] = append(tried[a.id], a)
			outcomes[a.outcome.String()]++
			r.counts["form "+a.form+": "+a.outcome.String()]++
			total++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tried)) {
		r.compare(id, tried[id], there[id], how[id])
	}
	for id := range there {
		if tried[id] == nil {
			r.report("stranger", fmt.Sprintf("row %d is nobody's", id), nil)
		}
	}
	return fmt.Sprintf("%d attempts on %d rows: %v; %d rows there", total, len(tried), outcomes, len(there))
}

// compare holds one row's attempts against how often it is there.
func (r *round) compare(id int64, tries []*attempt, n int, how string) {
	var b bounds
	text := ""
	for _, a := range tries {
		b = b.allow(a.outcome)
		text += fmt.Sprintf("\n    %s: %s, %s", a.form, a.outcome, a.why)
		if a.outcome == sent {
			r.report("test", fmt.Sprintf("row %d was never settled", id), a.life)
		}
	}
	kind := b.fault(n)
	if kind == "" {
		return
	}
	last := tries[len(tries)-1]
	r.report(kind+", "+last.outcome.String(), fmt.Sprintf("row %d is there %d times, want %d to %d; written by server %s%s",
		id, n, b.least, b.most, how, text), last.life)
}

var digits = regexp.MustCompile(`[0-9]+`)

// signature is a fault without what differs from one time to the next.
func (f fault) signature() string {
	text := f.text
	if _, after, ok := strings.Cut(text, "\n"); ok {
		text = after
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = digits.ReplaceAllString(text, "#")
	return fmt.Sprintf("%s: %.200s", f.kind, text)
}

// show fails the test with what is wrong, and counts it by signature.
func (r *round) show(t *testing.T, seed uint64, all bool) (found map[string]int) {
	t.Helper()
	found = map[string]int{}
	kinds := map[string]int{}
	for _, f := range r.faults {
		kinds[f.kind]++
		if found[f.signature()]++; found[f.signature()] > 1 || len(found) > shown && !all {
			continue
		}
		history := ""
		if f.life != nil {
			history = "\n  history:\n" + f.life.String()
		}
		t.Errorf("seed %d: %s: %s%s", seed, f.kind, f.text, history)
	}
	if len(r.faults) > 0 {
		t.Errorf("seed %d: faults by kind: %v", seed, kinds)
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(r.counts)) {
		lines = append(lines, fmt.Sprintf("%6d %s", r.counts[k], k))
	}
	if testing.Verbose() {
		t.Logf("what was played and heard:\n%s", strings.Join(lines, "\n"))
	}
	return found
}
