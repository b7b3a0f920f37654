package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"pgguard/pool/sorting"
)

// Change is one key that two configurations differ in. Secrets are masked.
type Change struct {
	Key      string `json:"key"`
	From, To string // "": the key is not there
	When     When   `json:"when"`
}

// String is a line for a person.
func (c Change) String() string {
	shown := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	from, to := shown(c.From), shown(c.To)
	if from == to { // a secret
		from, to = "one value", "another"
	}
	return fmt.Sprintf("%s: %s -> %s (%s)", c.Key, from, to, c.When)
}

// Changes are the keys in which next differs from f, sorted.
func (f *File) Changes(next *File) []Change {
	before, after := f.facts(), next.facts()
	renamed := !slices.EqualFunc(f.Classes, next.Classes, func(a, b Class) bool { return a.Name == b.Name })
	var list []Change
	add := func(l fact, from, to string) {
		when := whens[l.schema]
		if renamed && under(l.key, "classes") {
			when = Restart
		}
		list = append(list, Change{l.key, from, to, when})
	}
	for key, was := range before {
		now, ok := after[key]
		switch {
		case !ok && was.text != "":
			add(was, was.text, "")
		case ok && (was.text != now.text || !sameSecret(was.value, now.value)):
			add(now, was.text, now.text)
		}
	}
	for key, now := range after {
		if _, ok := before[key]; !ok && now.text != "" {
			add(now, "", now.text)
		}
	}
	sorting.By(list, func(a, b Change) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// Differences are Changes of what Settings say, where no more is known: secrets, which are masked, are taken to be equal.
func Differences(before, after []Setting) (list []Change) {
	was := map[string]string{}
	for _, s := range before {
		was[s.Key] = s.Value
	}
	for _, s := range after {
		if old, ok := was[s.Key]; old != s.Value || !ok && s.Value != "" {
			list = append(list, Change{s.Key, old, s.Value, WhenOf(s.Key)})
		}
		delete(was, s.Key)
	}
	for key, old := range was {
		if old != "" {
			list = append(list, Change{key, old, "", WhenOf(key)})
		}
	}
	sorting.By(list, func(a, b Change) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

func (f *File) facts() map[string]fact {
	all := map[string]fact{}
	flatten(reflect.ValueOf(f).Elem(), "", "", func(l fact) { all[l.key] = l })
	return all
}

// sameSecret compares what is not shown of two values.
func sameSecret(a, b any) bool {
	switch a := a.(type) {
	case Upstream:
		return reflect.DeepEqual(a, b)
	case Secret:
		return a.same(b.(Secret).sealed)
	case UserPassword:
		return a.same(b.(UserPassword).sealed)
	}
	return true
}

// Keep has f keep what old has of the keys that cannot change while the guard runs. The error is Faults, of what does not go together with that.
func (f *File) Keep(old *File) error {
	mine, theirs := reflect.ValueOf(f).Elem(), reflect.ValueOf(old).Elem()
	for key, when := range whens {
		if when == Restart && schemaOf(key) == key && !under(key, "listen") && !under(key, "classes") {
			fieldAt(mine, key).Set(fieldAt(theirs, key))
		}
	}
	f.Listen = old.Listen
	if !slices.EqualFunc(f.Classes, old.Classes, func(a, b Class) bool { return a.Name == b.Name }) {
		f.Classes = old.Classes
	}
	if faults := f.check(true); len(faults) > 0 {
		for i := range faults {
			faults[i].Source = "together with what needs a restart"
		}
		return faults
	}
	return nil
}

// Settable is true for a key that an operator may give another value: one that an Override can have, but for the command, which would make of the right to the
// console one to run programs where the guard runs.
func Settable(key string) bool {
	_, ok := whens[key]
	return ok && !strings.ContainsAny(key, "*[") && key != "upstream_password.command"
}
