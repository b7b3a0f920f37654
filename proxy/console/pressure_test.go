package console

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
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
