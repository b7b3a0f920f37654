package translate

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// arrivedTerms are those of a process that knows nothing yet.
func arrivedTerms() *Terms {
	return &Terms{Library: newShelf(), Catalog: &card{age: 1, bodies: 1}, Room: &seats{room: 1}, Encoding: func() string { return "UTF8" }}
}

// owner is a client that has something of everything.
func owner() *Client {
	c := NewClient(arrivedTerms())
	c.Call("app")
	c.Set(NewSettings([]Pair{{"work_mem", "1MB"}, {"TimeZone", "UTC"}, {"my.name", "x"}, {settingName, "app"}}))
	for name, body := range map[string]string{"one": "select 1\x00\x00\x00", "two": "select $1\x00\x00\x01\x00\x00\x00\x17", "call": "call f()\x00\x00\x00"} {
		c.setName(name, c.Library.Named([]byte(body), c.settings.parsing, c.Catalog.Age()))
	}
	c.names["two"].st.learn([]byte("\x00\x01\x00\x00\x00\x17"), 4711)
	c.hides = c.Catalog.Renew()
	c.hidden = true
	c.setName("late", c.Library.Named([]byte("select 'late'\x00\x00\x00"), c.settings.parsing, c.Catalog.Age()))
	c.unnamed = NewStatement([]byte("select 3\x00\x00\x00"), c.settings.parsing)
	c.stock = []*stocked{{"s", "prepare s as select 4", "             select 4", []uint32{23}}}
	return &c
}

// packed is what a client has, in an order of its own.
func packed(t *testing.T, c *Client) Belongings {
	t.Helper()
	b, ok := c.Pack()
	if !ok {
		t.Fatal("it cannot be told")
	}
	slices.SortFunc(b.Statements, func(a, b BelongingStatement) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return b
}

// TestClientArrivesWithWhatItHad: another process tells a third the same of it.
func TestClientArrivesWithWhatItHad(t *testing.T) {
	b := packed(t, owner())
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var got Belongings
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	c, err := NewArrived(arrivedTerms(), &got)
	if err != nil {
		t.Fatal(err)
	}
	if again := packed(t, &c); !reflect.DeepEqual(again, b) {
		t.Errorf("it had\n%+v\nand has\n%+v", b, again)
	}
	if name, _ := c.settings.Get("my.name"); name != "x" || !slices.Contains(c.Catalog.(*card).customs, "my.name") {
		t.Errorf("its own setting is %q, and known are %q", name, c.Catalog.(*card).customs)
	}
	if st := c.called([]byte("two")); st.Name == "" || !strings.HasPrefix(st.Body, "select $1") {
		t.Errorf("a name means %+v", st)
	}
}

// TestArrivalsStatementIsNotAnothersOfTheSameText: who comes knows other columns than who has prepared the text here.
func TestArrivalsStatementIsNotAnothersOfTheSameText(t *testing.T) {
	terms := arrivedTerms()
	here := terms.Library.Named([]byte("select 1\x00\x00\x00"), PlainParsing, 1)
	here.learn(nil, 42)
	b := Belongings{Statements: []BelongingStatement{{Name: []byte("st"), Body: []byte("select 1\x00\x00\x00"), Named: true, Shared: true, Columns: 43}}}
	c, err := NewArrived(terms, &b)
	if err != nil {
		t.Fatal(err)
	}
	if st := c.called([]byte("st")); st == here || st.columns.Load() != 43 {
		t.Errorf("it means %+v, here is %+v", st, here)
	}
}

// FuzzArrived: whatever another process says of a client is refused, or makes a client that can be told of again.
func FuzzArrived(f *testing.F) {
	b, _ := owner().Pack()
	text, err := json.Marshal(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"Statements":[{"Name":"AA==","Body":"AA=="}]}`))
	f.Add([]byte(`{"Unnamed":{"Body":"c2VsZWN0IDEAAAA=","Types":"AAE="}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b Belongings
		if json.Unmarshal(text, &b) != nil {
			return
		}
		c, err := NewArrived(arrivedTerms(), &b)
		if err != nil {
			return
		}
		again, ok := c.Pack()
		if !ok {
			t.Fatal("it cannot be told")
		}
		if _, err := NewArrived(arrivedTerms(), &again); err != nil {
			t.Errorf("told again: %v", err)
		}
	})
}
