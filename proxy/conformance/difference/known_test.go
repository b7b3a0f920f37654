package difference

import (
	"os"
	"regexp"
)

// known are the differences that are accepted, each with its reason. A text that would show one is not generated.
var known = []struct {
	text   *regexp.Regexp
	reason string
}{
	{regexp.MustCompile(`(?is)(reset|discard|default).*;.*application_name`),
		"between a RESET and the end of its text, application_name is the server's own; it is the client's again behind the text"},
	{regexp.MustCompile(`^(show app\.|update pg_settings .*'app\.)`),
		"a setting with a dot that nobody has set is unknown to a new server, and empty on one on which anybody ever set it"},
	{regexp.MustCompile(`insert into sly`),
		"a trigger that changes a setting: the text of the INSERT does not show it, and to ask after every INSERT costs too much"},
	{regexp.MustCompile(`insert into ids`),
		"lastval and currval after an INSERT outside a transaction: an error, never another client's value"},
	{regexp.MustCompile(`pg_settings where source`),
		"transaction_isolation keeps the source that a transaction before has given it, also when that was another client's"},
	{regexp.MustCompile(`(?i)(commit|rollback|end|abort|prepare transaction)\b.*;.*(execute|deallocate|prepare)`),
		"in a transaction that has failed, a text that first gets out of that and then names a statement of the protocol: that cannot be " +
			"handed over before"},
	{regexp.MustCompile(`temp_buffers`),
		"a server on which anybody ever used a temporary table refuses temp_buffers"},
}

// knownAnswers are pairs of answers, direct and the guard's, that may stand for one another. The script ends with them.
var knownAnswers = []struct {
	direct, guard *regexp.Regexp
	reason        string
}{
	{regexp.MustCompile(``), regexp.MustCompile(`^E .*C=25P02 .*R=exec_parse_message$`),
		"in a failed transaction a statement that was prepared on another server cannot be prepared here, and its description or a " +
			"wrong number of arguments is not told"},
	{regexp.MustCompile(``), regexp.MustCompile(`^` + regexp.QuoteMeta(onlyBegun)),
		"a BEGIN is answered by the guard: the transaction is refused with its first statement, and has failed"},
	{regexp.MustCompile(`^(E .*C=(08P01|42P05|22\w\w\w) |t)`), regexp.MustCompile(`^E .*C=42\w\w\w .*P=\d+ `),
		"a statement that has become wrong, by DDL or search_path, is prepared again on another server before its arguments are " +
			"looked at, or its name, or to be described; here it would be found wrong when it runs"},
	{regexp.MustCompile(`^E .*C=XX000 .*cache lookup failed for type`), regexp.MustCompile(`^E .*C=XX000 .*cache lookup failed for type`),
		"and that the type of an argument has gone is found in another place"},
	{regexp.MustCompile(``), regexp.MustCompile(`^E .*C=0A000 .*cached plan must not change result type`),
		"after a table has changed, a client that does not ask for the columns of its statement is told on a server without it that " +
			"they may be others"},
	{regexp.MustCompile(`^C DEALLOCATE`), regexp.MustCompile(`^E .*C=42\w\w\w .*P=\d+ `),
		"a statement that has become wrong by what the same batch has set, and that a text of several is to forget, is prepared under " +
			"its name before"},
	{regexp.MustCompile(`^E .*C=42\w\w\w `), regexp.MustCompile(`^E .*C=(26000 .*R=FetchPreparedStatement|22P02 .*guard: statement cannot|25P02 .*R=exec_simple_query)`),
		"EXECUTE of a protocol's statement that cannot be prepared any more says that rather than the reason, or in a transaction, " +
			"that the transaction has failed"},
	{regexp.MustCompile(`^E .*C=42\w\w\w .*P=\d+ `), regexp.MustCompile(`^T int4\(0\.0 23 `),
		"such a statement is described as what stands in for it, after a text that may have named it"},
	{regexp.MustCompile(`^t`), regexp.MustCompile(`^E .*C=55000 .*cannot update view "pg_settings"`),
		"a statement on a view whose rules session_replication_role has turned off since cannot be prepared on another server"},
	{regexp.MustCompile(`^C (SET|BEGIN|START)`), regexp.MustCompile(`^E .*C=25001 .*must be called before any query`),
		"a statement that has to be prepared on another server first takes the transaction's snapshot, or what forgets another " +
			"client's sequences does, in a batch that was begun before"},
	{regexp.MustCompile(`^E .*C=(25P02 .*R=exec_execute_message|55000 .*R=MarkPortalActive)`), regexp.MustCompile(`^E .*C=(25P02 .*R=exec_execute_message|55000 .*R=MarkPortalActive)`),
		"the portal of a simple query that has failed points at memory that is used for something else since: which error that makes is chance"},
	{regexp.MustCompile(`^E .*C=25P02 .*R=exec_bind_message`), regexp.MustCompile(`^E .*C=26000 .*R=FetchPreparedStatement`),
		"nor can one that was prepared by SQL be prepared there: what is bound is missed before it is seen that the transaction has failed"},
	{regexp.MustCompile(`^C .*(DISCARD ALL|VACUUM)`), regexp.MustCompile(`^E .*C=25001 .*cannot be executed within a pipeline`),
		"nor can DISCARD ALL or VACUUM run there after that"},
	{regexp.MustCompile(`^E .*C=25001 .*must be called before any query`), regexp.MustCompile(`^C (SET|BEGIN|START)`),
		"and one that it has already takes none, before a BEGIN in the same batch"},
	{regexp.MustCompile(`^[EN] .*schema "pg_temp" does not exist`), regexp.MustCompile(`^[EN] .* does not exist`),
		"a server on which anybody ever had a temporary table has the schema pg_temp: what is missed is the table or function in it"},
	{regexp.MustCompile(`^[EN] .* does not exist`), regexp.MustCompile(`^[EN] .*schema "pg_temp" does not exist`),
		"and the next server may have none"},
}

// inText are differences that are accepted only where the client has sent such a text, before or with it.
var inText = []struct {
	direct, guard, text *regexp.Regexp
	reason              string
}{
	{regexp.MustCompile(`^(1|2)`), regexp.MustCompile(`^E .*C=42\w\w\w .*P=\d+ `), regexp.MustCompile(`(?i)Parse .* (execute|prepare|deallocate|discard) `),
		"the Parse or Bind of an EXECUTE needs the statement that it names, to describe what it returns, a PREPARE the one that has its name, and what " +
			"forgets all of them all; on a server that lacks it this is prepared first, which may have become impossible. Direct finds out at Execute"},
	{regexp.MustCompile(``), regexp.MustCompile(`^E .*(C=08P01 .*requires 0\||C=22P02 .*guard: statement cannot)`), regexp.MustCompile(`(?i)Parse .* deallocate `),
		"a DEALLOCATE by the extended protocol that is bound and not run, after DDL: the statement is gone"},
	{regexp.MustCompile(`^t `), regexp.MustCompile(`^t ?$`), regexp.MustCompile(`(?i)Parse [^"].* deallocate `),
		"and so it is where one is prepared by name beside what the client has prepared by SQL: it is not seen when it is bound"},
	{regexp.MustCompile(`^n`), regexp.MustCompile(`^T `), regexp.MustCompile(`(?i)Parse .* (fetch|move|execute) `),
		"what a FETCH or EXECUTE returns is settled when it is prepared, by the cursor or statement that is there or is not; on another " +
			"server it is prepared again"},
	{regexp.MustCompile(`^S `), regexp.MustCompile(`^Z `), regexp.MustCompile(`(?s)pg_reload_conf.*client\n((  (Sync|Flush|Close .*|Query (begin|commit|rollback)))\n)+$|pg_reload_conf.*Sync and leave$`),
		"what is answered without a server does not tell of settings that were read anew since; the next statement does"},
	{regexp.MustCompile(`^D .*-> .* on pg_class`), regexp.MustCompile(`^D .*-> .* on pg_class`), regexp.MustCompile(`explain`),
		"the plan for a catalogue depends on when it was vacuumed last"},
	{regexp.MustCompile(`^E .*C=42\w\w\w .*P=\d+ `), regexp.MustCompile(`^(2|T )`), regexp.MustCompile(`(?i)temp`),
		"a temporary table that hides another changes what a statement means at its next Bind or Describe, unless the server has had " +
			"temporary tables before; then at the next change that makes PostgreSQL read it again"},
	{regexp.MustCompile(`^(2|T |t|n|C |D |E )`), regexp.MustCompile(`^(2|T |t|n|C |D |E )`), regexp.MustCompile(`(?is)create temp.*drop .*parse .*create temp`),
		"temporary tables that were dropped in the transaction that made them are not seen, so that the client's next ones count as its first"},
}

// healed is direct's answer where the guard prepares a statement again instead, because a table has changed since: what
// comes before it in the same answer may differ, too.
var healed = regexp.MustCompile(`^E .*C=0A000 .*cached plan must not change result type`)

// without leaves out texts for a run: of a fault that has been found and is not repaired yet.
var without = regexp.MustCompile(os.Getenv("DIFFERENCE_WITHOUT"))

func isKnown(text string) bool {
	if without.String() != "" && without.MatchString(text) {
		return true
	}
	for _, k := range known {
		if k.text.MatchString(text) {
			return true
		}
	}
	return false
}

// isKnownAnswer is whether two transcripts differ at line at as is accepted.
func isKnownAnswer(want, got transcript, at int) bool {
	if at < 0 || at >= len(want.lines) || at >= len(got.lines) {
		return false
	}
	for _, line := range want.lines[at:min(at+3, len(want.lines))] {
		if healed.MatchString(line) {
			return true
		}
	}
	for _, k := range inText {
		if k.guard.MatchString(got.lines[at]) && k.direct.MatchString(want.lines[at]) && k.text.MatchString(want.sent(at)) {
			return true
		}
	}
	for _, k := range knownAnswers {
		if k.direct.MatchString(want.lines[at]) && k.guard.MatchString(got.lines[at]) {
			return true
		}
	}
	return false
}
