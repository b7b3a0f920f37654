package sql

import "testing"

func TestResidueString(t *testing.T) {
	for _, tt := range []struct {
		residue Residue
		want    string
	}{
		{0, ""},
		{Prepared, "prepared"},
		{Setting, "setting"},
		{TempTable, "temp_table"},
		{AdvisoryLock, "advisory_lock"},
		{Listen, "listen"},
		{Cursor, "cursor"},
		{Sequence, "sequence"},
		{Load, "load"},
		{Setting | Load, "setting,load"},
		{AllResidue, "prepared,setting,temp_table,advisory_lock,listen,cursor,sequence,load"},
	} {
		if got := tt.residue.String(); got != tt.want {
			t.Errorf("Residue(%#x) is %q, want %q", uint16(tt.residue), got, tt.want)
		}
	}
}

func TestCommandString(t *testing.T) {
	seen := map[string]Command{}
	for c := Empty; c <= Other; c++ {
		if before, ok := seen[c.String()]; ok {
			t.Errorf("commands %d and %d are both %q", before, c, c)
		}
		seen[c.String()] = c
	}
	if got := Command(255).String(); got != "other" {
		t.Errorf("an unknown command is %q", got)
	}
	if got := Other.String(); got != "other" {
		t.Errorf("Other is %q", got)
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	for _, bm := range benchmarkTexts {
		text := []byte(bm.text)
		if n := testing.AllocsPerRun(20, func() { Scan(text) }); n != 0 {
			t.Errorf("%s allocates %v times", bm.name, n)
		}
		var s Scanner
		if n := testing.AllocsPerRun(20, func() {
			s.Reset()
			for i := range text {
				s.Feed(text[i : i+1])
			}
			s.Result()
		}); n != 0 {
			t.Errorf("%s byte by byte allocates %v times", bm.name, n)
		}
	}
}

func TestActiveRecordTextIsAboutOneKiB(t *testing.T) {
	if n := len(activeRecord); n < 900 || n > 1124 {
		t.Errorf("it has %d bytes", n)
	}
	if r := Scan([]byte(activeRecord)); !r.ReadOnly {
		t.Errorf("it is %s", describe(r))
	}
}
