package judge

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"pgguard/proxy/sql"
)

// holdable is CURSOR_OPT_HOLD.
const holdable = 0x20

// top reads what kind of statement the tree is.
func (t *truth) top(statement *pg.Node) {
	t.writes = true
	switch n := statement.Node.(type) {
	case *pg.Node_SelectStmt:
		t.command, t.writes = selectCommand(n.SelectStmt), false
	case *pg.Node_InsertStmt:
		t.command = withOr(n.InsertStmt.WithClause, sql.Insert)
	case *pg.Node_UpdateStmt:
		t.command = withOr(n.UpdateStmt.WithClause, sql.Update)
	case *pg.Node_DeleteStmt:
		t.command = withOr(n.DeleteStmt.WithClause, sql.Delete)
	case *pg.Node_MergeStmt:
		t.command = withOr(n.MergeStmt.WithClause, sql.Merge)
	case *pg.Node_TransactionStmt:
		t.transaction(n.TransactionStmt)
	case *pg.Node_VariableSetStmt:
		t.set(n.VariableSetStmt)
	case *pg.Node_ConstraintsSetStmt:
		t.command = sql.Set
	case *pg.Node_VariableShowStmt:
		t.command, t.writes = sql.Show, false
	case *pg.Node_FetchStmt:
		t.command, t.writes = sql.Fetch, false
	case *pg.Node_ExplainStmt:
		t.explain(n.ExplainStmt)
	case *pg.Node_PrepareStmt:
		t.command, t.residue = sql.Prepare, sql.Prepared
	case *pg.Node_ExecuteStmt:
		t.command = sql.Execute
	case *pg.Node_DeallocateStmt:
		t.command, t.undo = sql.Deallocate, sql.Prepared
	case *pg.Node_DeclareCursorStmt:
		t.command = sql.Declare
		if n.DeclareCursorStmt.Options&holdable != 0 {
			t.residue = sql.Cursor
		}
	case *pg.Node_ClosePortalStmt:
		t.command, t.undo = sql.Close, sql.Cursor
	case *pg.Node_ListenStmt:
		t.command, t.residue = sql.ListenCommand, sql.Listen
	case *pg.Node_UnlistenStmt:
		t.command, t.undo = sql.Unlisten, sql.Listen
	case *pg.Node_DiscardStmt:
		t.command, t.undo, t.sets = sql.Discard, sql.AllResidue, true
	case *pg.Node_LoadStmt:
		t.command, t.residue = sql.LoadCommand, sql.Load
	default:
		t.other(statement)
	}
}

// other reads the statements that leave nothing by their kind, or are DDL.
func (t *truth) other(statement *pg.Node) {
	switch n := statement.Node.(type) {
	case *pg.Node_NotifyStmt:
		t.command = sql.Notify
	case *pg.Node_CopyStmt:
		t.command = sql.Copy
	case *pg.Node_LockStmt:
		t.command = sql.Lock
	case *pg.Node_DoStmt:
		t.command, t.ask = sql.Do, true
	case *pg.Node_CallStmt:
		t.command, t.ask = sql.Call, true
	case *pg.Node_VacuumStmt, *pg.Node_ClusterStmt, *pg.Node_ReindexStmt, *pg.Node_RefreshMatViewStmt, *pg.Node_CheckPointStmt:
		t.command = sql.Maintenance
	case *pg.Node_CreateTableAsStmt: // SELECT INTO is another node
		t.command, t.ddl, t.ask = sql.Ddl, true, true
	case *pg.Node_DropStmt, *pg.Node_DropOwnedStmt:
		t.command, t.ddl, t.undo = sql.Ddl, true, sql.TempTable
	case *pg.Node_DefineStmt:
		t.command, t.ddl, t.ask = sql.Ddl, true, true
		t.qualified(n.DefineStmt.Defnames)
	case *pg.Node_CreateFunctionStmt:
		t.command, t.ddl, t.ask = sql.Ddl, true, true
		t.qualified(n.CreateFunctionStmt.Funcname)
	default:
		t.command, t.ddl = sql.Ddl, true
	}
}

// withOr is With if there is a WITH in front, or else c.
func withOr(with *pg.WithClause, c sql.Command) sql.Command {
	if with != nil {
		return sql.With
	}
	return c
}

// selectCommand is the command a query begins with. Which of SELECT, VALUES and TABLE it is the tree of a set operation
// does not always show, so that sql.Select stands for all three.
func selectCommand(n *pg.SelectStmt) sql.Command {
	for ; n.Larg != nil; n = n.Larg {
		if n.WithClause != nil {
			return sql.With
		}
	}
	return withOr(n.WithClause, sql.Select)
}

// transaction reads BEGIN, COMMIT, ROLLBACK and their kin.
func (t *truth) transaction(n *pg.TransactionStmt) {
	t.txControl = true
	switch n.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		t.command, t.deferrable = sql.Begin, true
		t.plainBegin = len(n.Options) == 0
		for _, option := range n.Options {
			t.deferrable = t.deferrable && deferrable(option.GetDefElem())
		}
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		t.command, t.plainEnd = sql.Commit, !n.Chain
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		t.command, t.plainEnd = sql.Rollback, !n.Chain
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE:
		t.command = sql.Prepare
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		t.command = sql.Commit
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		t.command = sql.Rollback
	default:
		t.command, t.txControl = sql.Savepoint, false
	}
}

// deferrable reports whether a mode of BEGIN can fail nowhere.
func deferrable(mode *pg.DefElem) bool {
	value := mode.Arg.GetAConst()
	switch mode.Defname {
	case "transaction_isolation":
		return value.GetSval().GetSval() != "serializable"
	case "transaction_read_only":
		return value.GetIval().GetIval() == 1
	case "transaction_deferrable":
		return value.GetIval().GetIval() == 0
	}
	return false
}

// set reads SET and RESET.
func (t *truth) set(n *pg.VariableSetStmt) {
	t.command, t.sets = sql.Set, true
	switch n.Kind {
	case pg.VariableSetKind_VAR_RESET, pg.VariableSetKind_VAR_RESET_ALL:
		t.command, t.undo = sql.Reset, sql.Setting
	case pg.VariableSetKind_VAR_SET_MULTI:
		if !strings.HasPrefix(n.Name, "TRANSACTION") && !n.IsLocal {
			t.residue, t.undo = sql.Setting, sql.Setting
		}
	default:
		if !n.IsLocal {
			t.residue, t.undo = sql.Setting, sql.Setting
		}
	}
}

// explain reads EXPLAIN, which runs its statement only with ANALYZE.
func (t *truth) explain(n *pg.ExplainStmt) {
	t.command, t.writes = sql.Explain, false
	for _, option := range n.Options {
		if option.GetDefElem().GetDefname() == "analyze" {
			var inner truth
			inner.top(n.Query)
			t.writes = inner.writes
		}
	}
}
