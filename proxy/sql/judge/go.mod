module pgguard/proxy/sql/judge

go 1.26.0

require (
	github.com/pganalyze/pg_query_go/v6 v6.2.5
	google.golang.org/protobuf v1.36.12
	pgguard v0.0.0
)

replace pgguard => ../../..
