package translate

import "testing"

func TestSettingsCompareAndChange(t *testing.T) {
	a := NewSettings([]Pair{{"work_mem", "1"}, {"TimeZone", "UTC"}, {"app.tenant", "it's \\"}})
	b := NewSettings([]Pair{{"app.tenant", "it's \\"}, {"work_mem", "1"}, {"TimeZone", "UTC"}})
	if a != b {
		t.Error("equal settings differ")
	}
	if a.Parsing() == PlainParsing || NewSettings([]Pair{{"work_mem", "1"}, {"app.x", "2"}}).Parsing() != PlainParsing {
		t.Error("only settings that change what a text means keep statements apart")
	}
	list, role := changes(a, NewSettings([]Pair{{"TimeZone", "UTC"}, {"role", "other"}}))
	out, n := appendChanges(nil, list)
	const want = "SELECT pg_catalog.set_config(E'app.tenant',NULL,false),pg_catalog.set_config(E'work_mem',NULL,false)," +
		"pg_catalog.set_config(E'role',E'other',false)\x00"
	if !role || n != 1 || string(out[5:]) != want {
		t.Errorf("%d queries, takes a role %v:\n%s\nwant\n%s", n, role, out[5:], want)
	}
	list, role = changes(NewSettings([]Pair{{"role", "other"}}), a)
	out, _ = appendChanges(nil, list)
	const back = "SELECT pg_catalog.set_config(E'role',E'none',false),pg_catalog.set_config(E'TimeZone',E'UTC',false)," +
		"pg_catalog.set_config(E'app.tenant',E'it''s \\\\',false),pg_catalog.set_config(E'work_mem',E'1',false)," +
		"pg_catalog.set_config(E'role',NULL,false)\x00"
	if role || string(out[5:]) != back {
		t.Errorf("takes a role %v:\n%s\nwant\n%s", role, out[5:], back)
	}
}
