// Package judge holds what pgguard/proxy/sql says of a text against what PostgreSQL's own parser sees in it. It has only
// tests, and is a module of its own so that nobody else compiles the parser, which is C.
//
//	cd proxy/sql/judge && go test .                  # the corpus, and made-up texts for a few seconds
//	JUDGE_FUZZ=10m go test -timeout 20m -v .         # for longer; the figures are in the log
//	JUDGE_SEED=… go test -run MadeUp .               # the same made-up texts again
//
// The corpus is the SQL of PostgreSQL's regression tests (testdata/README.md). Made-up texts are statements of it and
// others put into each other, spliced, spelled anew and broken; about a quarter of them are SQL. From the tree of a text
// truth_test.go and commands_test.go derive the least that has to be suspected, without a look at the text. What no text
// can tell (proxy/sql/doc.go) is not asked for. The lists of functions are taken as they are: what they say is for
// people to judge, that the scanner heeds them is judged here.
package judge
