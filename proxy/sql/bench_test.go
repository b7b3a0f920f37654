package sql

import (
	"encoding/binary"
	"strings"
	"testing"
)

// activeRecord is a SELECT of about 1 KiB, as ActiveRecord writes them with eager_load.
var activeRecord = func() string {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, column := range []string{
		"id", "email", "encrypted_password", "created_at", "updated_at", "name", "time_zone", "locale", "account_id",
		"deleted_at",
	} {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`"users"."` + column + `" AS t0_r` + string(rune('0'+i)))
		b.WriteString(`, "orders"."` + column + `" AS t1_r` + string(rune('0'+i)))
	}
	b.WriteString(` FROM "users" LEFT OUTER JOIN "orders" ON "orders"."user_id" = "users"."id" AND "orders"."state" IN ($1, $2)`)
	b.WriteString(` WHERE "users"."account_id" = $3 AND "users"."deleted_at" IS NULL AND (LOWER("users"."email") LIKE $4)`)
	b.WriteString(` ORDER BY "users"."created_at" DESC LIMIT $5 OFFSET $6 /*application:Shop,controller:orders,action:index*/`)
	return b.String()
}()

var benchmarkTexts = []struct{ name, text string }{
	{"select", "SELECT * FROM users WHERE id = 1"},
	{"pgbench-select", "SELECT abalance FROM pgbench_accounts WHERE aid = 1234567;"},
	{"pgbench-update", "UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 1234567;"},
	{"pgbench-insert", "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1234567, -1234, CURRENT_TIMESTAMP);"},
	{"begin", "BEGIN"},
	{"commit", "COMMIT"},
	{"set", "SET statement_timeout = 1000"},
	{"active-record-1KiB", activeRecord},
	{"long-insert-64KiB", "INSERT INTO t VALUES " + strings.Repeat("(1234567, 'some text of a usual length', NULL), ", 1365) + "(1)"},
	{"long-string-64KiB", "INSERT INTO t VALUES ('" + strings.Repeat("0123456789abcdef", 4096) + "')"},
}

// eachText measures f for each of benchmarkTexts.
func eachText(b *testing.B, f func(text []byte)) {
	for _, bm := range benchmarkTexts {
		text := []byte(bm.text)
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				f(text)
			}
		})
	}
}

// BenchmarkScan shows the time a text and a byte of it take.
func BenchmarkScan(b *testing.B) { eachText(b, func(text []byte) { Scan(text) }) }

// BenchmarkFeed reads a long text through a buffer, as the proxy does.
func BenchmarkFeed(b *testing.B) {
	text := []byte(benchmarkTexts[len(benchmarkTexts)-2].text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var s Scanner
	for b.Loop() {
		s.Reset()
		for rest := text; len(rest) > 0; {
			n := min(len(rest), 16<<10)
			s.Feed(rest[:n])
			rest = rest[n:]
		}
		s.Result()
	}
}

// BenchmarkKnown shows the time a text takes that a Cache knows.
func BenchmarkKnown(b *testing.B) {
	c := NewCache(1024)
	for _, bm := range benchmarkTexts[:8] {
		text := []byte(bm.text)
		c.Scan(text)
		c.Scan(text)
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Scan(text)
			}
		})
	}
}

// BenchmarkUnknown shows the time a text takes that a Cache sees for the first time, as most are whose literals differ.
func BenchmarkUnknown(b *testing.B) {
	c := NewCache(1024)
	text := []byte(activeRecord)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		binary.LittleEndian.PutUint64(text[len(text)-10:], n|0x4040404040404040) // in the comment at the end
		c.Scan(text)
	}
}

// BenchmarkFingerprint shows the time a text and a byte of it take.
func BenchmarkFingerprint(b *testing.B) { eachText(b, func(text []byte) { Fingerprint(text) }) }

// BenchmarkTag looks for a tag that is not there.
func BenchmarkTag(b *testing.B) {
	text := []byte(activeRecord)
	b.ReportAllocs()
	for b.Loop() {
		Tag(text, "job")
	}
}
