package ledger

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// book is an account in memory: its folded state and the head of its stream.
type book struct {
	state      *account.State
	hash       eventstore.Hash
	recordedAt time.Time
	position   eventstore.Position
	// saved is the revision of the newest snapshot, snapshotBytes how large that is.
	saved         int64
	snapshotBytes int
	recent        window
}

// fold is the version of everything in a snapshot: the state's, and the
// snapshot's own form.
const fold = "ledger/1+" + account.FoldVersion

// Snapshot is a book as it is saved: the account at a revision, and its stream's head
// there.
type Snapshot struct {
	State      *account.State
	Hash       eventstore.Hash
	RecordedAt time.Time
	Position   eventstore.Position
}

// OpenSnapshot reads one. False for one of another fold, which no ledger of this version
// uses; an error for one that is damaged.
func OpenSnapshot(saved eventstore.Snapshot) (content Snapshot, usable bool, err error) {
	if saved.Fold != fold {
		return content, false, nil
	}
	content.State = new(account.State)
	if err := json.Unmarshal(saved.Data, &content); err != nil {
		return content, false, fmt.Errorf("snapshot is damaged: %w", err)
	}
	if content.State == nil || content.State.Revision != saved.Revision {
		return content, false, fmt.Errorf("snapshot is damaged: its state isn't that of revision %d", saved.Revision)
	}
	return content, true, nil
}

// ready makes sure that the worker has a book with all names that the read
// model may lack, and not too many of those.
func (w *worker) ready(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = w.panicked("loading", p)
			w.dropBook()
		}
	}()
	if w.book == nil {
		b, err := w.load(ctx)
		if outOfReach(err) {
			w.ledger.noReads.add(w.ledger.opts.Logger, w.account, err)
			return err
		}
		if err != nil {
			w.ledger.opts.Logger.Error("account can't be loaded", "account", w.account, "error", err)
			return err
		}
		w.ledger.noReads.end(w.ledger.opts.Logger)
		w.book = b
		b.recent.countIn(&w.shard.names)
		w.shard.mu.Lock()
		w.acked = max(w.acked, b.position)
		w.shard.mu.Unlock()
		w.ledger.raiseAcked(b.position) // another engine may have written it, and answers rest on it
	}
	through := w.ledger.opts.Names.Through()
	w.book.recent.forget(through)
	if limit := int64(w.ledger.opts.MaxNames / shardCount); w.shard.names.Load() >= limit {
		if w.shard.forget(w, through); w.shard.names.Load() >= limit {
			return errNamesBehind()
		}
	}
	return w.trim(ctx, w.book)
}

// load folds the account: the snapshot, if it is of this log, and the events after it. It
// holds the outcome to what the read models know. With fewer events than these have, where
// the events are was lost: an account of which nothing is left would begin anew. With other
// figures, the snapshot isn't what was saved: all events are folded instead.
func (w *worker) load(ctx context.Context) (*book, error) {
	known, figures := w.known(ctx)
	b, err := w.loadSnapshot(ctx)
	if err == nil {
		err = w.fold(ctx, b)
	}
	if err == nil && b.saved != eventstore.NoStream && b.state.Revision == known && b.state.Figures != figures {
		w.ledger.opts.Logger.Error("snapshot gives other figures than the read models have: all events are folded; run `iocredits verify`",
			"account", w.account, "revision", b.saved)
		b = emptyBook()
		err = w.fold(ctx, b)
	}
	if err == nil && b.state.Revision < known {
		err = &eventstore.CorruptError{
			Stream: w.stream, Revision: b.state.Revision + 1,
			Reason: fmt.Sprintf("the read models have events up to revision %d, and they aren't found in the log; run `iocredits verify`", known),
		}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// known is what the read models have of the account, at least; read before the log is. They
// are no part of what is true: if they can't be read, nothing is known.
func (w *worker) known(ctx context.Context) (revision int64, figures account.Figures) {
	if w.ledger.opts.Known != nil {
		if revision, figures, err := w.ledger.opts.Known(ctx, w.account); err == nil {
			return revision, figures
		}
	}
	return eventstore.NoStream, figures
}

// fold folds the events after a book's into it.
func (w *worker) fold(ctx context.Context, b *book) error {
	through := w.ledger.opts.Names.Through()
	if b.position > through {
		if err := w.recall(ctx, b, through); err != nil {
			return err
		}
	}
	for r, err := range w.ledger.opts.Store.ReadStream(ctx, w.stream, b.state.Revision+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return fmt.Errorf("read %s: %w", w.stream, err)
		}
		f, err := w.ledger.opts.Codec.Open(r)
		if err != nil {
			return err
		}
		if err := b.follow(f); err != nil {
			return err
		}
		if f.Position > through {
			b.recent.addAll(&f)
			if err := w.trim(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func emptyBook() *book { return &book{state: account.New(), saved: eventstore.NoStream} }

// follow folds the next event of the stream, and checks that it is the next.
func (b *book) follow(f eventstore.Fact) error {
	if f.Revision != b.state.Revision+1 || f.Meta.Previous != b.hash {
		return &eventstore.CorruptError{
			Position: f.Position, Stream: f.Stream, Revision: f.Revision,
			Reason: fmt.Sprintf("doesn't follow revision %d with hash %s", b.state.Revision, b.hash),
		}
	}
	account.Evolve(b.state, f.Body)
	b.hash = eventstore.ChainHash(f.Stream, f.Revision, f.Event, b.hash)
	b.recordedAt, b.position = f.Meta.RecordedAt, f.Position
	return nil
}

// loadSnapshot gives the saved book, or an empty one if there is none that fits
// this fold and this log. A snapshot is a cache: a bad one costs only time.
func (w *worker) loadSnapshot(ctx context.Context) (*book, error) {
	empty := emptyBook()
	if w.ledger.opts.Snapshots == nil {
		return empty, nil
	}
	var content Snapshot
	saved, usable, err := w.ledger.opts.Snapshots.LoadSnapshot(ctx, w.stream)
	if err == nil && usable {
		content, usable, err = OpenSnapshot(saved)
	}
	if err != nil || !usable {
		if err != nil && !outOfReach(err) { // the log, which is read next, says so too
			w.ledger.opts.Logger.Warn("snapshot can't be read", "account", w.account, "error", err)
		}
		return empty, nil
	}
	for r, err := range w.ledger.opts.Store.ReadStream(ctx, w.stream, saved.Revision, eventstore.Forwards, 1) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", w.stream, err)
		}
		meta, err := eventstore.DecodeMetadata(r.Metadata)
		if err == nil && eventstore.ChainHash(w.stream, r.Revision, r.Event, meta.Previous) == content.Hash {
			return &book{
				state: content.State, hash: content.Hash, recordedAt: content.RecordedAt,
				position: r.Position, saved: saved.Revision, snapshotBytes: len(saved.Data),
			}, nil
		}
	}
	w.ledger.opts.Logger.Warn("snapshot is not of this log", "account", w.account, "revision", saved.Revision)
	return empty, nil
}

// recall fills the window with the names of events that are in the snapshot but
// not yet in the read model: it lags behind the snapshot.
func (w *worker) recall(ctx context.Context, b *book, through eventstore.Position) error {
	var late []claim // the newest first
	var room [MaxNames]Name
	for r, err := range w.ledger.opts.Store.ReadStream(ctx, w.stream, b.state.Revision, eventstore.Backwards, math.MaxInt) {
		if err != nil {
			return fmt.Errorf("read %s: %w", w.stream, err)
		}
		if r.Position <= through {
			break
		}
		f, err := w.ledger.opts.Codec.Open(r)
		if err != nil {
			return err
		}
		for _, name := range AppendNames(room[:0], &f) {
			late = append(late, claim{name, f.Revision, f.Position})
		}
		if len(late) > w.ledger.opts.MaxRecentNames {
			return w.waitForNames(ctx, late[0].position)
		}
	}
	for _, c := range slices.Backward(late) {
		b.recent.add(c)
	}
	return nil
}

// saveInBackground saves a book that left the shard: nobody else has it. When many leave
// at once not all are: a book that is kept until it is saved is one more in memory, and a
// snapshot is a cache.
func (w *worker) saveInBackground() {
	if !w.lacks(w.ledger.opts.IdleSnapshot) {
		return
	}
	select {
	case w.ledger.saving <- struct{}{}:
	default:
		return
	}
	w.ledger.work.Add(1)
	go func() {
		defer w.ledger.work.Done()
		defer func() { <-w.ledger.saving }()
		w.save()
	}()
}

// save writes a snapshot of the book, which is durable when this is called. It
// is a cache, so a failure is only logged.
func (w *worker) save() {
	if w.ledger.opts.Snapshots == nil || w.book == nil {
		return
	}
	b := w.book
	// What is zero is left out: it is what an empty state has, and it is most of one.
	data, err := json.Marshal(Snapshot{State: b.state, Hash: b.hash, RecordedAt: b.recordedAt, Position: b.position},
		json.Deterministic(true), json.OmitZeroStructFields(true))
	if err == nil {
		err = w.ledger.opts.Snapshots.SaveSnapshot(w.ledger.life, w.stream, eventstore.Snapshot{Revision: b.state.Revision, Fold: fold, Data: data})
	}
	if err != nil {
		w.ledger.opts.Logger.Warn("snapshot not saved", "account", w.account, "error", err)
	}
	// Even after a failure: the next try is SnapshotEvery events away.
	b.saved, b.snapshotBytes = b.state.Revision, len(data)
}
