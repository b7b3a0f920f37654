package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// TestLogIsLikePgBouncers: a line has PgBouncer's beginning, its message as it is, quotes and all, PostgreSQL's errors with their severity; nothing that is in it makes another line.
func TestLogIsLikePgBouncers(t *testing.T) {
	said, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "3D000", Message: `database "x" does not exist`}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := upstream.ParseError(said[wire.HeaderSize:])
	head := fmt.Sprintf(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[%d\] `, os.Getpid())
	for want, write := range map[string]func(l *slog.Logger){
		`LOG serving listen=127.0.0.1:6432 upstream="" what="two words"`: func(l *slog.Logger) {
			l.Info("serving", "listen", "127.0.0.1:6432", "upstream", "", "what", "two words")
		},
		`LOG C-0x0: (nodb)/(nouser)@10.0.0.1:99 closing because: "trust" authentication failed (age=0s)`: func(l *slog.Logger) {
			l.Info(`closing because: "trust" authentication failed (age=0s)`, "client", "10.0.0.1:99", "error", errors.New(`"trust" authentication failed`))
		},
		`LOG C-0x0: shop/app@unix gone database=shop user=app`:         func(l *slog.Logger) { l.With("client", "unix").Info("gone", "database", "shop", "user", "app") },
		`LOG S-0x0: shop/app@10.0.0.2:5432 new database=shop user=app`: func(l *slog.Logger) { l.Info("new", "server", "10.0.0.2:5432", "database", "shop", "user", "app") },
		`WARNING server login failed: FATAL database "x" does not exist times=1`: func(l *slog.Logger) {
			l.Warn("server login failed", "times", 1, "error", fmt.Errorf("here: %w", refused))
		},
		`ERROR C-0x0: a\nb/\x1b@x it broke: one\ntwo database="a\nb" user="\x1b"`: func(l *slog.Logger) {
			l.Error("it broke", "client", "x", "database", "a\nb", "user", "\x1b", "error", errors.New("one\ntwo"))
		},
	} {
		var out bytes.Buffer
		write(slog.New(newLikeLog(&out, slog.LevelInfo)))
		pattern := head + regexp.QuoteMeta(want) + `\n$`
		if !regexp.MustCompile(pattern).Match(out.Bytes()) {
			t.Errorf("got  %s\nwant %s", out.Bytes(), want)
		}
	}
	var out bytes.Buffer
	if slog.New(newLikeLog(&out, slog.LevelWarn)).Info("nothing"); out.Len() > 0 {
		t.Errorf("below its level: %s", out.Bytes())
	}
}
