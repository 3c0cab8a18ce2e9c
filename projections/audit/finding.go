package audit

import (
	"fmt"
	"strconv"

	"iocredits/eventstore"
)

// Check names what was looked at.
type Check string

// The checks, in the order in which an event meets them.
const (
	CheckRecord     Check = "record"
	CheckRevision   Check = "revision"
	CheckMetadata   Check = "metadata"
	CheckChain      Check = "previous-hash"
	CheckID         Check = "event-id"
	CheckDecoding   Check = "decoding"
	CheckTime       Check = "recorded-at"
	CheckCommand    Check = "command"
	CheckRule       Check = "invariant"
	CheckJournal    Check = "journal"
	CheckClaim      Check = "claim"
	CheckTrial      Check = "trial-balance"
	CheckCheckpoint Check = "checkpoint"
	CheckView       Check = "read-model"
	// CheckIndex and CheckSnapshot are of what a store keeps beside its log.
	CheckIndex    Check = "index"
	CheckSnapshot Check = "snapshot"
	// CheckKey is of who has the keyring; see Options.Seen.
	CheckKey Check = "key"
)

// Finding is one thing that isn't as it must be.
type Finding struct {
	Check Check
	// Account and Revision are empty and -1 for what concerns the whole log.
	Account  string
	Revision int64
	Position eventstore.Position
	// What says more, where a check looks at several things.
	What            string
	Expected, Found string
}

// String is the finding's one line.
func (f Finding) String() string {
	account, revision := f.Account, strconv.FormatInt(f.Revision, 10)
	if account == "" {
		account = "-"
	}
	if f.Revision < 0 {
		revision = "-"
	}
	what := ""
	if f.What != "" {
		what = " " + strconv.Quote(f.What)
	}
	return fmt.Sprintf("%s%s account=%s revision=%s position=%d expected=%s found=%s",
		f.Check, what, account, revision, f.Position, clip(f.Expected), clip(f.Found))
}

// clip keeps a finding on one line that fits a screen.
func clip(text string) string {
	const limit = 300
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return strconv.Quote(text)
}
