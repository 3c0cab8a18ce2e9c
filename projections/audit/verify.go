package audit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"log/slog"
	"math"
	"runtime"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
	"iocredits/projections"
)

// Source is what there is to check. Store and Codec are required.
type Source struct {
	// Store may be eventstore.Indexed and eventstore.Snapshots too: then its index and its
	// snapshots are held to its log.
	Store eventstore.Store
	Codec *eventstore.Codec
	// Views are nil where there are none.
	Views *projections.Image
	// ViewsDamage is why there are none, if that is a finding: projections.Damaged.
	ViewsDamage error
	// Checkpoints yields the signed checkpoints, oldest first; nil: there are
	// none. They MUST have been read before the log's head was: what is signed
	// later would look like a truncated log.
	Checkpoints iter.Seq2[transparency.Signed, error]
	// Verifier of the signatures; nil: only sizes and roots are compared.
	Verifier note.Verifier
}

// Options of Verify and Diff. The zero value is a good default.
type Options struct {
	// Scratch is an empty folder for the views that are built anew. Empty: Verify
	// doesn't compare the read models, and Diff builds those of its account in memory.
	Scratch string
	// MinFreeBytes have to stay free on Scratch's disk, which may be the log's too; 0: as
	// many as an engine's views leave free. With less it is projections.ErrNoRoom.
	MinFreeBytes uint64
	// MaxEvents is how many events an account may have for Diff, its notices counted;
	// 0: any number. Without Scratch it is what bounds the memory.
	MaxEvents int64
	Logger    *slog.Logger
	Workers   int
	// MaxAccounts bounds the accounts in memory. With more, the log is read
	// several times, each time for another part of them.
	MaxAccounts int
	// MustBeSigned makes it a finding that there is no signed checkpoint at all:
	// for whoever brings a key and counts on its having been used.
	MustBeSigned bool
	// Seen is shown every event of the log, once and in order; nil: nobody is. It MUST
	// NOT keep the event.
	Seen func(*eventstore.Recorded)
	// Report is told of every finding, one call at a time.
	Report func(Finding)
	// Progress is told how far a phase is.
	Progress func(phase string, through, head eventstore.Position)
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxAccounts == 0 {
		o.MaxAccounts = 50_000
	}
	if o.Report == nil {
		o.Report = func(Finding) {}
	}
	if o.Seen == nil {
		o.Seen = func(*eventstore.Recorded) {}
	}
	if o.Progress == nil {
		o.Progress = func(string, eventstore.Position, eventstore.Position) {}
	}
}

// Summary says what was checked.
type Summary struct {
	Events, Accounts, Checkpoints, Rows, Findings int
	// Good are the checkpoints with a good signature, of all that are there.
	Good int
	// Head is the tree of all events, computed from the log.
	Head     transparency.Head
	Position eventstore.Position
	// Totals are of all accounts, unless Incomplete: events of some are missing or can't be
	// read.
	Totals     journal.Totals
	Incomplete bool
	// Signatures, ViewsCompared and IndexCompared tell what could be checked.
	Signatures, ViewsCompared, IndexCompared bool
}

// verification is one Verify or Diff under way.
type verification struct {
	Source
	Options
	head eventstore.Position

	mu      sync.Mutex
	summary Summary
	seen    map[Finding]bool
	balance journal.Sum
	places  places
	// unread: there are records that can't be read.
	unread bool
}

// Verify checks everything up to the head at the call. An error is that of the
// store or of ctx, or projections.ErrNoRoom; what is wrong in the log are findings.
func Verify(ctx context.Context, source Source, opts Options) (Summary, error) {
	opts.defaults()
	head, err := source.Store.Head(ctx)
	if err != nil {
		return Summary{}, fmt.Errorf("verify: %w", err)
	}
	v := &verification{Source: source, Options: opts, head: head, seen: map[Finding]bool{}, places: places{seed: maphash.MakeSeed()}}
	v.summary.Position, v.summary.Signatures = head, source.Verifier != nil
	if err := v.log(ctx); err != nil {
		return v.summary, fmt.Errorf("verify the log: %w", err)
	}
	if opts.MustBeSigned && v.summary.Checkpoints == 0 {
		v.report(Finding{Check: CheckCheckpoint, Revision: -1, Position: head, What: "none", Expected: "signed checkpoints", Found: "no checkpoint, so no signature was checked"})
	}
	if err := v.index(ctx); err != nil {
		return v.summary, fmt.Errorf("verify the index: %w", err)
	}
	v.books()
	v.unopened()
	if source.Views != nil && opts.Scratch != "" {
		if err := v.unreadable(v.views(ctx)); err != nil {
			return v.summary, fmt.Errorf("verify the read models: %w", err)
		}
	}
	return v.summary, nil
}

// maxRemembered bounds what is kept to tell a finding of a second pass from a new one.
const maxRemembered = 100_000

func (v *verification) report(f Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[f] {
		return
	}
	if len(v.seen) < maxRemembered {
		v.seen[f] = true
	}
	v.summary.Findings++
	v.Report(f)
}

// incomplete notes that something is missing in the books.
func (v *verification) incomplete() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.summary.Incomplete = true
}

// books checks the company's trial balance.
func (v *verification) books() {
	if open := v.summary.Totals.Open(); open != (journal.Sum{}) {
		v.report(Finding{Check: CheckTrial, Revision: -1, Position: v.head, What: "sum of all accounts", Expected: "0", Found: open.String()})
	}
	if got := v.summary.Totals.Balance(); got != v.balance {
		v.report(Finding{Check: CheckTrial, Revision: -1, Position: v.head, What: "what customers have", Expected: v.balance.String(), Found: got.String()})
	}
}

// readAll yields the log up to the head, and goes on behind what is damaged.
func (v *verification) readAll(ctx context.Context, yield func(eventstore.Recorded) bool) error {
	for from := eventstore.BeforeFirst; from <= v.head; {
		var corrupt *eventstore.CorruptError
		for r, err := range v.Store.ReadAll(ctx, from, eventstore.Forwards, math.MaxInt) {
			if errors.As(err, &corrupt) {
				break
			}
			if err != nil {
				return err
			}
			if r.Position > v.head || !yield(r) {
				return nil
			}
			from = r.Position + 1
		}
		if corrupt == nil {
			return nil
		}
		if corrupt.Position == eventstore.BeforeFirst || corrupt.Position < from {
			return corrupt // nothing is known that could be read on from
		}
		v.incomplete()
		v.unread = true
		name, _ := eventstore.AccountOf(corrupt.Stream)
		v.report(Finding{
			Check: CheckRecord, Account: name, Revision: corrupt.Revision, Position: corrupt.Position,
			Expected: "a whole record", Found: corrupt.Reason,
		})
		from = corrupt.Position + 1
	}
	return nil
}
