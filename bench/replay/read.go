package replay

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// columns of csvlog, from 0. They have been the same since PostgreSQL 9.0.
const (
	colTime        = 0
	colDatabase    = 2
	colSession     = 5
	colMessage     = 13
	colDetail      = 14
	colApplication = 22
)

// layouts of log_time. Zones without an offset count as UTC: only what lies between two times matters.
var layouts = []string{"2006-01-02 15:04:05.999 MST", "2006-01-02 15:04:05.999 -07"}

// Read reads a log in CSV (csvlog) or JSON (jsonlog), which its first character tells apart: what was done in one database; an empty name is all.
func Read(r io.Reader, database string) (*Log, error) {
	b := bufio.NewReader(r)
	first, err := b.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the log is empty")
	}
	if err != nil {
		return nil, err
	}
	next := csvLines(b)
	if first[0] == '{' {
		next = jsonLines(b)
	}
	log := &Log{}
	index := map[string]int{}
	for {
		l, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if database != "" && l.database != database {
			continue
		}
		switch s, k := l.statement(); k {
		case plain:
			i, known := index[l.session]
			if !known {
				i = len(log.Sessions)
				index[l.session] = i
				log.Sessions = append(log.Sessions, Session{ID: l.session})
			}
			log.Sessions[i].Statements = append(log.Sessions[i].Statements, s)
		case skipped:
			log.Skipped++
		}
	}
	if len(log.Sessions) == 0 {
		return nil, errors.New("the log has no statement with its duration, in this database: set log_min_duration_statement = 0, and log_destination to csvlog or jsonlog")
	}
	slices.SortStableFunc(log.Sessions, func(a, b Session) int { return a.Statements[0].Begin.Compare(b.Statements[0].Begin) })
	return log, nil
}

// csvLines returns what reads one record after another.
func csvLines(r io.Reader) func() (line, error) {
	records := csv.NewReader(r)
	records.FieldsPerRecord, records.ReuseRecord = -1, true
	return func() (l line, err error) {
		record, err := records.Read()
		if err != nil {
			return l, err
		}
		at, _ := records.FieldPos(0)
		if len(record) <= colApplication {
			return l, fmt.Errorf("line %d: it has %d fields, and is none of PostgreSQL's csvlog", at, len(record))
		}
		l = line{session: record[colSession], database: record[colDatabase], application: record[colApplication], message: record[colMessage], detail: record[colDetail]}
		if l.at, err = when(record[colTime]); err != nil {
			return l, fmt.Errorf("line %d: %w", at, err)
		}
		return l, nil
	}
}

// jsonLines returns what reads one object after another.
func jsonLines(r io.Reader) func() (line, error) {
	objects := json.NewDecoder(r)
	n := 0
	return func() (l line, err error) {
		var o struct {
			Timestamp   string `json:"timestamp"`
			Session     string `json:"session_id"`
			Database    string `json:"dbname"`
			Application string `json:"application_name"`
			Message     string `json:"message"`
			Detail      string `json:"detail"`
		}
		n++
		if err := objects.Decode(&o); errors.Is(err, io.EOF) {
			return l, err
		} else if err != nil {
			return l, fmt.Errorf("line %d: %w", n, err)
		}
		l = line{session: o.Session, database: o.Database, application: o.Application, message: o.Message, detail: o.Detail}
		if l.at, err = when(o.Timestamp); err != nil {
			return l, fmt.Errorf("line %d: %w", n, err)
		}
		return l, nil
	}
}

// when reads log_time.
func when(text string) (t time.Time, err error) {
	for _, layout := range layouts {
		if t, err = time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return t, fmt.Errorf("no time of PostgreSQL's log: %.40q", text)
}
