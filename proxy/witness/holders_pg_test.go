//go:build pg

package witness_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/diagnosis"
	"pgguard/proxy/pgtest"
)

// TestVerdictSaysHowToEndAPreparedTransaction, which has no session that could be ended.
func TestVerdictSaysHowToEndAPreparedTransaction(t *testing.T) {
	sc := open(t, pgtest.Options{Settings: map[string]string{"max_prepared_transactions": "2"}}, nil)
	c := sc.connect(sc.db.URL("postgres"), "coordinator")
	sc.run(c, "create table stock as select 1 as id, 0 as n", "begin", "update stock set n = 1", "prepare transaction 'transfer'")
	var work sync.WaitGroup
	for range 4 {
		waiter := sc.enter("shop")
		work.Go(func() { _, _ = waiter.Exec(context.Background(), "update stock set n = n + 1") })
	}
	v := sc.awaits(20*time.Second, diagnosis.Locks)
	if v.Cause != "prepared_transaction" || v.Culprit.PID != 0 || !strings.Contains(v.Advice, "pg_prepared_xacts") || strings.Contains(v.Advice, "pg_terminate_backend") {
		t.Errorf("%s: %s\n%s\n%+v", v.Cause, v.Sentence, v.Advice, v.Culprit)
	}
	sc.run(c, "rollback prepared 'transfer'")
	work.Wait()
}
