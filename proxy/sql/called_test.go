package sql

import (
	"strings"
	"testing"
)

func TestCalledNamesTheFirstTableAndTheTags(t *testing.T) {
	for text, want := range map[string]string{
		"select * from orders where secret = 'abc'":                                       "select orders",
		`update "Stock" set n = n - 1 where id = 4711 /*action='buy',controller='shop'*/`: `update "Stock", action=buy, controller=shop`,
		"/*application:shop,job:Admin*/ INSERT INTO public.line_items VALUES ($1, 'abc')": "insert public.line_items, application=shop, job=Admin",
		"with x as (select 1 from a) select * from b":                                     "with b",
		"select count(*) from (select * from inner_one) q":                                "select inner_one",
		"select 'from secret' /* from nobody */ from real":                                "select real",
		"alter table if exists only orders add column c text":                             "alter orders",
		"alter table only public.orders add column c text":                                "alter public.orders",
		"drop index concurrently orders_id":                                               "drop orders_id",
		"vacuum full verbose orders":                                                      "vacuum orders",
		"refresh materialized view concurrently totals":                                   "refresh totals",
		"delete from only t":                                                              "delete t",
		"copy public.big (a) from stdin":                                                  "copy public.big",
		"merge into m using s on true when matched then do nothing":                       "merge m",
		"select pg_sleep(5)":                                                              "",
		"":                                                                                "",
		"do $$ begin perform 1 from hidden; end $$ /*job='x'*/":                           "do, job=x",
	} {
		if got := Called([]byte(text)); got != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
	long := "select 1 from " + strings.Repeat("é", 500)
	if got := Called([]byte(long)); len(got) > maxCalled+len("…") || !strings.HasSuffix(got, "é…") {
		t.Errorf("a long name is %d bytes: %q", len(got), got)
	}
}

func FuzzCalled(f *testing.F) {
	f.Add([]byte("select * from a.b /*x='y'*/"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := Called(text); len(got) > maxCalled+len("…") {
			t.Errorf("%d bytes", len(got))
		}
	})
}
