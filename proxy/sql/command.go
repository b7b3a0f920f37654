package sql

// Command names what a statement is by its first words.
type Command uint8

// The commands. Everything the scanner does not tell apart is Other.
const (
	Empty         Command = iota // no statement at all
	Begin                        // BEGIN, START TRANSACTION
	Commit                       // COMMIT, END; COMMIT PREPARED too
	Rollback                     // ROLLBACK, ABORT; ROLLBACK PREPARED too
	Savepoint                    // SAVEPOINT, RELEASE, ROLLBACK TO
	Select                       // SELECT, also in parentheses
	Insert                       // INSERT
	Update                       // UPDATE
	Delete                       // DELETE
	Merge                        // MERGE
	Values                       // VALUES
	Table                        // TABLE
	With                         // WITH, whatever follows it
	Show                         // SHOW
	Set                          // SET of every kind
	Reset                        // RESET
	Discard                      // DISCARD
	Deallocate                   // DEALLOCATE
	Close                        // CLOSE
	Unlisten                     // UNLISTEN
	ListenCommand                // LISTEN; Listen is the residue
	Notify                       // NOTIFY
	Prepare                      // PREPARE, PREPARE TRANSACTION
	Execute                      // EXECUTE
	Declare                      // DECLARE
	Fetch                        // FETCH, MOVE
	Copy                         // COPY
	Do                           // DO
	Call                         // CALL
	Explain                      // EXPLAIN
	Lock                         // LOCK
	Ddl                          // CREATE, ALTER, DROP, TRUNCATE, COMMENT, GRANT, REVOKE, REASSIGN, SECURITY, IMPORT
	Maintenance                  // VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH, CHECKPOINT
	LoadCommand                  // LOAD; Load is the residue
	Other                        // anything else
)

var commandNames = [...]string{
	"empty", "begin", "commit", "rollback", "savepoint", "select", "insert", "update", "delete", "merge", "values",
	"table", "with", "show", "set", "reset", "discard", "deallocate", "close", "unlisten", "listen", "notify",
	"prepare", "execute", "declare", "fetch", "copy", "do", "call", "explain", "lock", "ddl", "maintenance", "load",
	"other",
}

// String returns the command in lower case.
func (c Command) String() string {
	if int(c) < len(commandNames) {
		return commandNames[c]
	}
	return "other"
}
