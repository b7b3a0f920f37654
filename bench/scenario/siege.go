package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Siege is strangers who open connections and do not log in, or guess passwords, beside clients who work.
type Siege struct {
	Clients  int           `default:"16" help:"Clients that work."`
	Think    time.Duration `default:"40ms" help:"Mean pause of a client between two reads."`
	ReadCost time.Duration `default:"1ms" help:"CPU a read costs the server; calibrated."`
	Deadline time.Duration `default:"2s" help:"How long a client waits for a read, connecting included."`
	Open     int           `default:"2000" help:"Connections of one address that say nothing."`
	Half     int           `default:"5000" help:"Connections of another address that say half of what they must."`
	Guesses  float64       `default:"500" help:"Logins with a wrong password, per second, of a third address."`
	Warmup   time.Duration `default:"3s" help:"Reads before anything is counted."`
	Alone    time.Duration `default:"15s" help:"Length of the phase in which the clients are alone."`
	Coming   time.Duration `default:"6s" help:"Length of the phase in which the connections are opened, as fast as they can be."`
	Beside   time.Duration `default:"20s" help:"Length of the siege."`
	After    time.Duration `default:"15s" help:"Length of the phase after it."`
}

// Name returns "siege".
func (Siege) Name() string { return "siege" }

// besieged is the user that the clients are, and that is guessed at.
const besieged, besiegedPassword = "bench_besieged", "bench"

// Users are those whom a proxy asks for their passwords.
func (Siege) Users() map[string]string { return map[string]string{besieged: besiegedPassword} }

// Prepare makes the tables and the user, and calibrates the read.
func (s Siege) Prepare(ctx context.Context, server *Server) error {
	role := fmt.Sprintf("DO $$ BEGIN CREATE ROLE %s LOGIN PASSWORD '%s'; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT pg_read_all_data TO %[1]s", besieged, besiegedPassword)
	if err := server.Prepare(ctx, s.ReadCost); err != nil {
		return err
	}
	return server.Exec(ctx, role)
}

// Run has the clients alone, beside the strangers, and alone again.
func (s Siege) Run(ctx context.Context, e Env) (report.Run, error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return report.Run{}, err
	}
	u.User = url.UserPassword(besieged, besiegedPassword)
	e.URL = u.String()
	st, err := newStrangers(s, e)
	if err != nil {
		return report.Run{}, err
	}
	defer st.leave()
	files := func(name string, r *report.Run) {
		if n, ok := openFiles(e.PIDs); ok {
			r.Add(name, "", float64(n))
		}
	}
	sc, err := newScene(e, s.Warmup, []phase{
		{name: "alone", length: s.Alone}, {name: "coming", length: s.Coming, trouble: true, do: st.come},
		{name: "beside", length: s.Beside, trouble: true, do: st.besiege}, {name: "after", length: s.After},
	}, group{
		name: "working", app: pumaName, deadline: s.Deadline, pause: 10 * time.Millisecond, clients: []int{s.Clients}, think: s.Think,
		work: func(r *rand.Rand) []string { return []string{readSQL(r, e.Server.ReadRows)} },
	})
	if err != nil {
		return report.Run{}, err
	}
	var before report.Run
	files("files of the proxy before", &before)
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	sc.report(&r)
	st.report(&r, s.Beside)
	r.Figures = append(r.Figures, before.Figures...)
	files("files of the proxy after", &r)
	alone, ok1 := r.Value("alone: working p99")
	beside, ok2 := r.Value("beside: working p99")
	if ok1 && ok2 && alone > 0 {
		r.Add("beside: working p99 of alone", "", beside/alone)
	}
	return r, nil
}

// openFiles is how many file descriptors processes have; ok is false where they cannot be seen.
func openFiles(pids []int) (n int, ok bool) {
	for _, pid := range pids {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return 0, false
		}
		n += len(list)
	}
	return n, len(pids) > 0
}

// peakMemory is the most memory that processes have until ctx ends, in MiB; 0: they cannot be seen.
func peakMemory(ctx context.Context, pids []int) (most float64) {
	if len(pids) == 0 {
		return 0
	}
	for {
		if p, err := load.ReadProcess(pids...); err == nil {
			most = max(most, mib(p))
		}
		if !load.Sleep(ctx, time.Second) {
			return most
		}
	}
}
