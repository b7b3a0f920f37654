package sql_test

import (
	"fmt"

	"pgguard/proxy/sql"
)

func ExampleScan() {
	for _, text := range []string{
		"BEGIN READ ONLY",
		"SELECT * FROM users WHERE id = 1",
		"SET search_path = app",
		"SELECT pg_advisory_lock(1), my_function()",
	} {
		r := sql.Scan([]byte(text))
		fmt.Printf("%s: deferrable=%t reads=%t ask=%t residue=%q\n", r.First, r.Deferrable, r.ReadOnly, r.Ask, r.Residue)
	}
	// Output:
	// begin: deferrable=true reads=false ask=false residue=""
	// select: deferrable=false reads=true ask=false residue=""
	// set: deferrable=false reads=false ask=false residue="setting"
	// select: deferrable=false reads=false ask=true residue="advisory_lock"
}

func ExampleScanner() {
	var s sql.Scanner
	s.Feed([]byte("INSERT INTO users (name) VALUES ('Ann; B"))
	s.Feed([]byte("ea'); LIS"))
	s.Feed([]byte("TEN users"))
	r := s.Result()
	fmt.Println(r.First, r.Statements, r.Residue)
	// Output: insert 2 listen
}
