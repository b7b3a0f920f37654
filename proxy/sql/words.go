package sql

// word is a key word that decides something. All others, and all other names, are wNone.
type word uint8

// The key words. The order is that of wordTexts.
const (
	wNone word = iota
	wAbort
	wAlter
	wAnalyse
	wAnalyze
	wAnd
	wAs
	wAtomic
	wBegin
	wCall
	wChain
	wCheckpoint
	wClose
	wCluster
	wComment
	wCommit
	wCommitted
	wConstraints
	wCopy
	wCreate
	wDeallocate
	wDeclare
	wDeferrable
	wDelete
	wDiscard
	wDo
	wDrop
	wEnd
	wExecute
	wExplain
	wExtension
	wFetch
	wFor
	wFrom
	wFunction
	wGlobal
	wGrant
	wHold
	wImport
	wInsert
	wInto
	wIsolation
	wKey
	wLevel
	wListen
	wLoad
	wLocal
	wLock
	wMerge
	wMove
	wNo
	wNot
	wNotify
	wOnly
	wOr
	wPrepare
	wProcedure
	wRead
	wReassign
	wRecursive
	wRefresh
	wReindex
	wRelease
	wRepeatable
	wReplace
	wReset
	wRevoke
	wRollback
	wSavepoint
	wSecurity
	wSelect
	wSet
	wShare
	wShow
	wStart
	wTable
	wTemp
	wTemporary
	wTo
	wTransaction
	wTrue
	wTruncate
	wUncommitted
	wUnlisten
	wUpdate
	wVacuum
	wValues
	wWith
	wWork
	wordCount
)

var wordTexts = [wordCount]string{
	"", "abort", "alter", "analyse", "analyze", "and", "as", "atomic", "begin", "call", "chain", "checkpoint", "close",
	"cluster", "comment", "commit", "committed", "constraints", "copy", "create", "deallocate", "declare",
	"deferrable", "delete", "discard", "do", "drop", "end", "execute", "explain", "extension", "fetch", "for", "from", "function",
	"global", "grant", "hold", "import", "insert", "into", "isolation", "key", "level", "listen", "load", "local",
	"lock", "merge", "move", "no", "not", "notify", "only", "or", "prepare", "procedure", "read", "reassign", "recursive",
	"refresh", "reindex", "release", "repeatable", "replace", "reset", "revoke", "rollback", "savepoint",
	"security", "select", "set", "share", "show", "start", "table", "temp", "temporary", "to", "transaction",
	"true", "truncate", "uncommitted", "unlisten", "update", "vacuum", "values", "with", "work",
}

// shortWord is the longest key word that is looked up by its bytes in one integer; with seven there is always one bit to
// see where it ends.
const shortWord = 7

// shortWords has the key words of at most shortWord bytes, each in the slot its key times shortFactor begins with, and no
// two in one.
var (
	shortWords [1 << 9]struct {
		key  uint64
		word word
	}
	shortFactor uint64 = 1
)

// longWords has the others by their lengths.
var longWords [maxWord + 1][]word

// maxWord is the length of the longest key word.
const maxWord = len("transaction")

func init() {
	for !fillShortWords() {
		shortFactor = shortFactor*0x5851f42d4c957f2d + 2 // Knuth's factor for 64 bits; it stays odd
	}
	for w := word(1); w < wordCount; w++ {
		if n := len(wordTexts[w]); n > shortWord {
			longWords[n] = append(longWords[n], w)
		}
	}
}

// fillShortWords fills the table with the factor there is, and reports whether every word has a slot of its own.
func fillShortWords() bool {
	clear(shortWords[:])
	for w := word(1); w < wordCount; w++ {
		if len(wordTexts[w]) > shortWord {
			continue
		}
		key := wordKey([]byte(wordTexts[w]))
		slot := &shortWords[key*shortFactor>>(64-9)]
		if slot.word != wNone {
			return false
		}
		slot.key, slot.word = key, w
	}
	return true
}

// wordKey is b, of at most eight bytes, as load and foldKey give it.
func wordKey(b []byte) uint64 {
	var key uint64
	for i, c := range b {
		key |= uint64(c|0x20) << (8 * i)
	}
	return key
}

// foldKey is the bytes of x under the mask without the case of letters. No byte of a name that is no letter becomes one.
func foldKey(x, mask uint64) uint64 { return (x | 0x20*ones) & mask }

// shortKeyword returns the key word of at most shortWord bytes that has the key.
func shortKeyword(key uint64) word {
	if slot := &shortWords[key*shortFactor>>(64-9)]; slot.key == key {
		return slot.word
	}
	return wNone
}

// keyword returns the key word that the unquoted name b is, in any case.
func keyword(b []byte) word {
	switch {
	case len(b) <= shortWord:
		return shortKeyword(wordKey(b))
	case len(b) > maxWord:
		return wNone
	}
	for _, w := range longWords[len(b)] {
		if equalFold(b, wordTexts[w]) {
			return w
		}
	}
	return wNone
}

// equalFold reports whether b is lower in any case of its ASCII letters. lower is in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if fold[c] != lower[i] {
			return false
		}
	}
	return true
}
