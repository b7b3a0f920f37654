package console

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgguard/pool"
	"pgguard/proxy"
	"pgguard/proxy/instance"
	"pgguard/proxy/upstream"
)

// TestWhatIsWrongIsShown: the verdicts, the worst first, and the incidents, the last first, with who was refused in all.
func TestWhatIsWrongIsShown(t *testing.T) {
	c := open(t, desk(t, world()), pgx.QueryExecModeSimpleProtocol)
	for view, want := range map[string]string{
		"pressure": "[db:5432 locks lock_holder 11 statements wait. End it. 2001-09-09 01:46:40 UTC 90 PushWorker  update stock set n = $1]" +
			"[other:5432 calm calm Nothing is wrong.   100   ]",
		"incidents": "[2 db:5432 2001-09-09 01:46:40 UTC  locks lock_holder 11 statements wait. End it. PushWorker 11 1500000 7]" +
			"[1 db:5432 1998-07-09 16:00:00 UTC 1998-07-09 16:01:00 UTC database_down refused It was down.   0 0 0]",
	} {
		rows, err := c.Query(t.Context(), "show "+view)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprint(values)
		}
		if rows.Err() != nil || got != want {
			t.Errorf("show %s: %v, got\n%s\nwant\n%s", view, rows.Err(), got, want)
		}
	}
}

// TestBoundsOfTheFileAreShown, which dashboards compare counts with; where there are none, the cap of PostgreSQL is.
func TestBoundsOfTheFileAreShown(t *testing.T) {
	g, reserve := world(), 2
	g.databases = []proxy.DatabaseInfo{
		{Name: "bounded", Upstream: upstream.Upstream{Host: "db", Port: 5432}, PerLogin: 20, MostServers: 50}, {Name: "free", Upstream: upstream.Upstream{Host: "db", Port: 5432}},
	}
	g.stats.Pools = []instance.Stats{{Name: "db:5432", Stats: pool.Stats{Cap: 97}}}
	g.cfg.PerUser, g.cfg.Users = 30, map[string]proxy.UserLimits{"app": {PerLogin: 5, MaxServers: 7, Reserve: &reserve}}
	c := open(t, desk(t, g), pgx.QueryExecModeSimpleProtocol)
	for view, want := range map[string][]string{
		"databases": {"bounded 20 50", "free 97 97"}, "users": {"app         5         2 7", "ops <nil> <nil> 30"},
	} {
		rows, err := c.Query(t.Context(), "show "+view)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for rows.Next() {
			v, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			if view == "databases" {
				got = append(got, fmt.Sprint(v[0], " ", v[5], " ", v[11]))
			} else {
				got = append(got, fmt.Sprint(v[0], " ", v[1], " ", v[2], " ", v[4]))
			}
		}
		for _, line := range want {
			if !slices.Contains(got, line) {
				t.Errorf("show %s: no %q in %q, %v", view, line, got, rows.Err())
			}
		}
	}
}
