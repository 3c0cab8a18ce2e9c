package ledger

import (
	"context"
	"crypto/sha256"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Request is a command and who sends it.
type Request struct {
	// Account MUST have passed domain.CheckID.
	Account string
	Do      account.Action

	Actor, Role, Key string
	RequestID        string

	// CommandID is the Idempotency-Key, unique in the account; empty for the
	// engine's own commands, which are safe to repeat by their nature.
	CommandID string
	// Fingerprint binds CommandID to what was asked. A replay needs the same one.
	Fingerprint string
	// Earlier is the fingerprint that earlier versions gave the same request, if it was
	// another: a replay of what they recorded has that.
	Earlier string

	// OnlyAt, if set, is the revision that the account MUST be at when the command
	// is decided; else it is refused with `precondition-failed`. A replay is one
	// whatever has happened since.
	OnlyAt *int64

	// Inspect, if set, sees the account's state at the answer: after this
	// command, or as it is today for a replay; and the command's events, whose
	// positions may not be known yet. It runs on the account's worker: it MUST be
	// quick, MUST NOT change anything and MUST copy what it keeps. It may be
	// called more than once if an append has to be decided again; the last call
	// counts. It is not called for refusals. It may still run after Execute or Look
	// has returned ctx's error: what it writes MUST NOT be read then.
	Inspect func(*account.State, []eventstore.Fact)
}

// Result is the answer to an accepted command.
type Result struct {
	// Facts are the command's events; none for a Tick with nothing due. The
	// deadlines that were due come first.
	Facts []eventstore.Fact
	// Balances holds the account's balance after each fact; nil for a replay,
	// whose history the read side has.
	Balances []domain.Amount
	// Revision and Position of the last fact, or of the account's head if there
	// is none. Revision is NoStream and Position 0 for an account without events.
	Revision int64
	Position eventstore.Position
	// Balance is the account's at the answer: today's for a replay. Head says
	// which events it counts.
	Balance account.Balance
	Head    Mark
	// Replayed: the command was accepted before, and these are its events.
	Replayed bool
}

// Mark is a place in an account's stream. Position is at or after that of the
// event at Revision; RecordedAt is zero for an account without events.
type Mark struct {
	Revision   int64
	Position   eventstore.Position
	RecordedAt time.Time
}

// Outcome is one line of a batch.
type Outcome struct {
	Result Result
	Err    error
}

// View is the state of an account as the write side has it.
type View struct {
	Balance account.Balance
	// Policy of an account without events is the one that it would begin with.
	Policy account.Policy
	Mark
}

// Name is what an event claims for ever in its account: half of the SHA-256 of
// "command/" + CommandID, or of what account.ClaimOf gives. The texts are long and
// many, and kept nowhere. Who finds a command's compares the event behind it; for all
// else 128 bits are taken to be enough.
type Name [NameLen]byte

// NameLen is the length of a Name in bytes.
const NameLen = 16

// NameOfCommand is the name that a command id claims.
func NameOfCommand(id string) Name { return nameOf("command/", id) }

// NameOfClaim is the name of what account.ClaimOf gives.
func NameOfClaim(claim string) Name { return nameOf("", claim) }

func nameOf(prefix, text string) Name {
	var room [128]byte
	digest := sha256.Sum256(append(append(room[:0], prefix...), text...))
	return Name(digest[:NameLen])
}

// Names tells which event of an account claimed a name. It is a read model of
// the log and lags behind it; Through says how far it reaches, so that a name
// that it doesn't find and that no later event claimed is free for certain.
type Names interface {
	// Through: every claim at a position <= Through is found. It never goes back.
	Through() eventstore.Position
	// WaitThrough returns once Through() >= position, or with ctx's error.
	WaitThrough(ctx context.Context, position eventstore.Position) error
	// Find gives the revision of the (first) event that claimed name.
	Find(ctx context.Context, account string, name Name) (revision int64, found bool, err error)
}

// AppendNames adds what an event claims to names: the command that it opens, and
// the thing that it names; MaxNames at most. Read sides that implement Names index
// exactly these.
func AppendNames(names []Name, f *eventstore.Fact) []Name {
	if f.Meta.Command.ID != "" && f.Meta.Command.Index == 0 {
		names = append(names, NameOfCommand(f.Meta.Command.ID))
	}
	return appendClaim(names, f)
}

func appendClaim(names []Name, f *eventstore.Fact) []Name {
	if claim := account.ClaimOf(f.Body); claim != "" {
		names = append(names, NameOfClaim(claim))
	}
	return names
}

// MaxNames is how many names an event can claim.
const MaxNames = 2
