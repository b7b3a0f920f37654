package sql

// phase is where a statement is in the part of its grammar that decides something.
type phase uint8

// The phases. A statement outside of any is in phaseBody, and most are from their second word on.
const (
	phaseHead   phase = iota // nothing read
	phaseParens              // only opening parentheses read
	phaseBody

	phaseBegin       // BEGIN
	phaseStart       // START
	phaseModes       // BEGIN WORK, BEGIN TRANSACTION, START TRANSACTION
	phaseIsolation   // ISOLATION
	phaseLevel       // ISOLATION LEVEL
	phaseLevelRead   // ISOLATION LEVEL READ
	phaseLevelRepeat // ISOLATION LEVEL REPEATABLE
	phaseRead        // READ
	phaseNot         // NOT
	phaseMode        // after a whole mode
	phaseComma       // after a mode and a comma

	phaseEnd      // COMMIT, END, ROLLBACK, ABORT
	phaseEndWork  // COMMIT WORK, COMMIT TRANSACTION
	phaseAnd      // AND
	phaseAndNo    // AND NO
	phaseNoChain  // AND NO CHAIN
	phasePrepare  // PREPARE
	phasePrepared // PREPARE TRANSACTION

	phaseSet    // SET
	phaseLocal  // SET LOCAL, SET TRANSACTION, SET CONSTRAINTS
	phaseCreate // CREATE and the words that may stand before TEMP
	phaseInto   // SELECT … INTO and the words that may stand before TEMP

	phaseConfig      // in the arguments of set_config
	phaseConfigThird // at the third argument
	phaseConfigTrue  // the third argument begins with TRUE
	phaseCount
)

// endsBegin reports whether BEGIN or START TRANSACTION may end here.
func (p phase) endsBegin() bool { return p == phaseBegin || p == phaseModes || p == phaseMode }

// endsEnd reports whether COMMIT or ROLLBACK may end here.
func (p phase) endsEnd() bool { return p == phaseEnd || p == phaseEndWork || p == phaseNoChain }

// transitions is the grammar of plain BEGIN, START TRANSACTION, COMMIT and ROLLBACK: phase and word to the next phase.
// Everything that is not in it leads to phaseBody.
var transitions = func() (t [phaseCount][wordCount]phase) {
	for i := range t {
		for j := range t[i] {
			t[i][j] = phaseBody
		}
	}
	for _, p := range []phase{phaseBegin, phaseModes, phaseMode, phaseComma} {
		t[p][wIsolation], t[p][wRead], t[p][wNot] = phaseIsolation, phaseRead, phaseNot
	}
	t[phaseBegin][wWork], t[phaseBegin][wTransaction] = phaseModes, phaseModes
	t[phaseStart][wTransaction] = phaseModes
	t[phaseIsolation][wLevel] = phaseLevel
	t[phaseLevel][wRead], t[phaseLevel][wRepeatable] = phaseLevelRead, phaseLevelRepeat
	t[phaseLevelRead][wCommitted], t[phaseLevelRead][wUncommitted] = phaseMode, phaseMode
	t[phaseLevelRepeat][wRead] = phaseMode
	t[phaseRead][wOnly] = phaseMode
	t[phaseNot][wDeferrable] = phaseMode

	t[phaseEnd][wWork], t[phaseEnd][wTransaction] = phaseEndWork, phaseEndWork
	t[phaseEnd][wAnd], t[phaseEndWork][wAnd] = phaseAnd, phaseAnd
	t[phaseAnd][wNo] = phaseAndNo
	t[phaseAndNo][wChain] = phaseNoChain
	return t
}()

// head is what the first word of a statement says.
type head struct {
	command Command
	phase   phase
	residue Residue
	ask     bool
}

// heads has the first words of statements; Empty in those that are none.
var heads = [wordCount]head{
	wBegin:      {Begin, phaseBegin, 0, false},
	wStart:      {Begin, phaseStart, 0, false},
	wCommit:     {Commit, phaseEnd, 0, false},
	wEnd:        {Commit, phaseEnd, 0, false},
	wRollback:   {Rollback, phaseEnd, 0, false},
	wAbort:      {Rollback, phaseEnd, 0, false},
	wSavepoint:  {Savepoint, phaseBody, 0, false},
	wRelease:    {Savepoint, phaseBody, 0, false},
	wSelect:     {Select, phaseBody, 0, false},
	wInsert:     {Insert, phaseBody, 0, false},
	wUpdate:     {Update, phaseBody, 0, false},
	wDelete:     {Delete, phaseBody, 0, false},
	wMerge:      {Merge, phaseBody, 0, false},
	wValues:     {Values, phaseBody, 0, false},
	wTable:      {Table, phaseBody, 0, false},
	wWith:       {With, phaseBody, 0, false},
	wShow:       {Show, phaseBody, 0, false},
	wSet:        {Set, phaseSet, 0, false},
	wReset:      {Reset, phaseBody, 0, false},
	wDiscard:    {Discard, phaseBody, 0, false},
	wDeallocate: {Deallocate, phaseBody, 0, false},
	wClose:      {Close, phaseBody, 0, false},
	wUnlisten:   {Unlisten, phaseBody, 0, false},
	wListen:     {ListenCommand, phaseBody, Listen, false},
	wNotify:     {Notify, phaseBody, 0, false},
	wPrepare:    {Prepare, phasePrepare, 0, false},
	wExecute:    {Execute, phaseBody, 0, true},
	wDeclare:    {Declare, phaseBody, 0, false},
	wFetch:      {Fetch, phaseBody, 0, false},
	wMove:       {Fetch, phaseBody, 0, false},
	wCopy:       {Copy, phaseBody, 0, false},
	wDo:         {Do, phaseBody, 0, true},
	wCall:       {Call, phaseBody, 0, true},
	wExplain:    {Explain, phaseBody, 0, false},
	wLock:       {Lock, phaseBody, 0, false},
	wCreate:     {Ddl, phaseCreate, 0, true},
	wAlter:      {Ddl, phaseBody, 0, false},
	wDrop:       {Ddl, phaseBody, 0, false},
	wTruncate:   {Ddl, phaseBody, 0, false},
	wComment:    {Ddl, phaseBody, 0, false},
	wGrant:      {Ddl, phaseBody, 0, false},
	wRevoke:     {Ddl, phaseBody, 0, false},
	wReassign:   {Ddl, phaseBody, 0, false},
	wSecurity:   {Ddl, phaseBody, 0, false},
	wImport:     {Ddl, phaseBody, 0, true},
	wVacuum:     {Maintenance, phaseBody, 0, false},
	wAnalyze:    {Maintenance, phaseBody, 0, false},
	wAnalyse:    {Maintenance, phaseBody, 0, false},
	wCluster:    {Maintenance, phaseBody, 0, false},
	wReindex:    {Maintenance, phaseBody, 0, false},
	wRefresh:    {Maintenance, phaseBody, 0, false},
	wCheckpoint: {Maintenance, phaseBody, 0, false},
	wLoad:       {LoadCommand, phaseBody, Load, false},
}

// undoes has what statements that begin with a word may take from the session.
var undoes = [wordCount]Residue{
	wUnlisten:   Listen,
	wClose:      Cursor,
	wDrop:       TempTable,
	wDeallocate: Prepared,
	wDiscard:    AllResidue,
	wReset:      Setting,
}
