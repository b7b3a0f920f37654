package judge

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"pgguard/proxy/sql"
)

// truth is what the tree of one statement says that it may do: the least that the scanner must suspect.
type truth struct {
	command   sql.Command
	txControl bool
	residue   sql.Residue
	undo      sql.Residue
	ask       bool
	ddl       bool
	sets      bool
	currval   bool
	writes    bool // it does not only read

	plainBegin, deferrable, plainEnd bool // it may be called so
}

// truthOf reads the tree of a statement.
func (j *judge) truthOf(statement *pg.Node) truth {
	var t truth
	t.top(statement)
	walk(statement.ProtoReflect(), func(m protoreflect.Message) {
		switch n := m.Interface().(type) {
		case *pg.FuncCall:
			j.call(&t, n)
		case *pg.RangeTableSample:
			if !slices.Contains(j.functions[last(n.Method)], "reads") {
				t.ask = true
			}
		case *pg.RangeVar:
			if n.Relpersistence == "t" || strings.HasPrefix(n.Schemaname, "pg_temp") {
				t.residue |= sql.TempTable
			}
		case *pg.TypeName:
			t.qualified(n.Names)
		case *pg.ColumnRef:
			t.qualified(n.Fields)
		case *pg.SelectStmt:
			if n.IntoClause != nil {
				t.ask, t.ddl, t.writes = true, true, true
			}
		case *pg.LockingClause, *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt:
			t.writes = t.writes || t.command != sql.Explain // top knows whether that runs
		case *pg.ExecuteStmt:
			t.ask = true
		case *pg.CreateTableAsStmt:
			t.ask, t.ddl = true, true
		case *pg.CreateStmt, *pg.ViewStmt, *pg.CreateSeqStmt:
			t.ask = true
		}
	})
	t.writes = t.writes || t.ask || t.residue|t.undo != 0
	return t
}

// add adds what the next statement of a text may do. What t may be called is that of the last one.
func (t *truth) add(next truth) {
	next.txControl = next.txControl || t.txControl
	next.residue |= t.residue
	next.undo |= t.undo
	next.ask = next.ask || t.ask
	next.ddl = next.ddl || t.ddl
	next.sets = next.sets || t.sets
	next.currval = next.currval || t.currval
	next.writes = next.writes || t.writes
	*t = next
}

// unsuspected names what t has and r does not suspect.
func (t *truth) unsuspected(r sql.Result) (faults []string) {
	for _, f := range []struct {
		is, suspected bool
		name          string
	}{
		{t.txControl, r.TxControl, "TxControl"},
		{t.ask, r.Ask, "Ask"},
		{t.ddl, r.Ddl, "Ddl"},
		{t.sets, r.Sets, "Sets"},
		{t.currval, r.Currval, "Currval"},
		{t.residue != 0, t.residue&^r.Residue == 0, "Residue " + t.residue.String()},
		{t.undo != 0, t.undo&^r.Undo == 0, "Undo " + t.undo.String()},
	} {
		if f.is && !f.suspected {
			faults = append(faults, "no "+f.name)
		}
	}
	return faults
}

// walk visits every message of a tree.
func walk(m protoreflect.Message, visit func(protoreflect.Message)) {
	visit(m)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() != protoreflect.MessageKind:
		case f.IsList():
			for i := range v.List().Len() {
				walk(v.List().Get(i).Message(), visit)
			}
		default:
			walk(v.Message(), visit)
		}
		return true
	})
}

// last is the last part of a qualified name.
func last(name []*pg.Node) string {
	if len(name) == 0 {
		return ""
	}
	return name[len(name)-1].GetString_().GetSval()
}

// qualified notes a name in the schema of temporary objects.
func (t *truth) qualified(name []*pg.Node) {
	if len(name) > 1 && strings.HasPrefix(name[0].GetString_().GetSval(), "pg_temp") {
		t.residue |= sql.TempTable
	}
}

// call reads the call of a function.
func (j *judge) call(t *truth, call *pg.FuncCall) {
	t.qualified(call.Funcname)
	name := last(call.Funcname)
	kinds := j.functions[name]
	if len(call.Funcname) > 1 {
		schema := call.Funcname[len(call.Funcname)-2].GetString_().GetSval()
		t.ask = t.ask || schema != "pg_catalog" && schema != "information_schema"
	}
	if slices.Contains(kinds, "keywords") || strings.HasPrefix(name, "st_") { // not claimed
		return
	}
	if len(kinds) == 0 {
		t.ask = true
		return
	}
	switch kinds[0] {
	case "reads":
	case "writes":
		t.writes = t.writes || t.command != sql.Explain
	case "ask":
		t.ask = true
	case "advisory_lock":
		t.residue |= sql.AdvisoryLock
		t.undo |= sql.AdvisoryLock
	case "advisory_unlock":
		t.undo |= sql.AdvisoryLock
	case "sequence":
		t.residue |= sql.Sequence
	case "currval":
		t.residue |= sql.Sequence
		t.currval = true
	case "setting":
		t.residue |= sql.Setting
		t.undo |= sql.Setting
		t.sets = true
	case "load":
		t.residue |= sql.Load
	case "config":
		t.sets, t.writes = true, t.writes || t.command != sql.Explain
		if len(call.Args) == 3 && !call.Args[2].GetAConst().GetBoolval().GetBoolval() {
			t.residue |= sql.Setting
			t.undo |= sql.Setting
		}
	default:
		panic("the lists have the unknown heading " + kinds[0])
	}
}
