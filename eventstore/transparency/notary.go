package transparency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"iocredits/eventstore"
)

// Tree is the log's tree as the read models keep it.
type Tree interface {
	// TreeHead is the tree as it is now, and the position of its last event.
	TreeHead(ctx context.Context) (Head, eventstore.Position, error)
	// HeadAt is the tree as it was at a size. MUST: size <= the present one.
	HeadAt(ctx context.Context, size uint64) (Head, error)
	// Leaves are those from first to before end, in their order. MUST: end <= the
	// present size.
	Leaves(ctx context.Context, first, end uint64) ([]Leaf, error)
	// WaitThrough returns once the tree has every event up to position.
	WaitThrough(ctx context.Context, position eventstore.Position) error
}

// Options of a Notary. Store, Tree, File and Signer are required.
type Options struct {
	Store  eventstore.Store
	Tree   Tree
	File   *File
	Signer note.Signer
	// Verifier is of Signer's key: what was signed before is checked with it.
	Verifier note.Verifier
	Logger   *slog.Logger
	Clock    func() time.Time
	// MaxAge and MaxEvents bound how far the log may be ahead of the newest
	// checkpoint.
	MaxAge    time.Duration
	MaxEvents uint64
	// Look is how often the tree is looked at.
	Look time.Duration
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxAge == 0 {
		o.MaxAge = time.Minute
	}
	if o.MaxEvents == 0 {
		o.MaxEvents = 10_000
	}
	if o.Look == 0 {
		o.Look = time.Second
	}
}

// Errors of a Notary; compare with errors.Is.
var (
	// ErrRollback: the log ends before what was signed.
	ErrRollback = errors.New("the log was rolled back behind a signed checkpoint")
	// ErrFork: the log has another history than the one that was signed.
	ErrFork = errors.New("the log differs from a signed checkpoint")
	// ErrTree: the log isn't the one that the tree was made of.
	ErrTree = errors.New("the log differs from the tree in the read models")
)

// Notary signs the tree. Invariant: every checkpoint that it signs is of a tree
// that the one before it is a prefix of; if that can't be so, it signs nothing
// more until a person has looked.
type Notary struct {
	opts Options

	// turn has room for who is at work, and what is below is theirs. The first check reads
	// the log, which may be slow: who waits for it gives up with its own time.
	turn    chan struct{}
	checked bool
	refused error
	pending time.Time

	works, refuses atomic.Bool
}

// NewNotary makes a notary. It signs nothing before Run, or Sign.
func NewNotary(opts Options) *Notary {
	opts.defaults()
	return &Notary{opts: opts, turn: make(chan struct{}, 1)}
}

// enter waits for the turn, and gives it back with leave. Error: ctx's.
func (n *Notary) enter(ctx context.Context) (leave func(), err error) {
	select {
	case n.turn <- struct{}{}:
		return func() { <-n.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the notary: %w", ctx.Err())
	}
}

// Check compares the newest checkpoint with the tree, and the tree with the log as far
// as a start has time for (compareTail). Errors: ErrRollback, ErrFork, ErrTree,
// ErrSignature, after which this notary never signs; or ctx's, the store's and the
// tree's, after which it may be asked again.
func (n *Notary) Check(ctx context.Context) error {
	leave, err := n.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return n.check(ctx)
}

func (n *Notary) check(ctx context.Context) error {
	if n.checked || n.refused != nil {
		return n.refused
	}
	err := n.compareAll(ctx)
	for _, final := range []error{ErrRollback, ErrFork, ErrTree, ErrSignature} {
		if errors.Is(err, final) {
			n.refused = err
			n.refuses.Store(true)
			n.opts.Logger.Error("no checkpoint will be signed", "error", n.refused)
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("check the newest checkpoint: %w", err)
	}
	n.checked = true
	return nil
}

func (n *Notary) compareAll(ctx context.Context) error {
	last, exists := n.opts.File.Last()
	head, err := n.opts.Store.Head(ctx)
	if err != nil {
		return err
	}
	// A tree that is being rebuilt is short for a while; only the whole log tells.
	if err := n.opts.Tree.WaitThrough(ctx, min(head, last.Position)); err != nil {
		return err
	}
	now, _, err := n.opts.Tree.TreeHead(ctx)
	if err != nil {
		return err
	}
	if exists {
		if err := n.compareSigned(ctx, &last, head, now); err != nil {
			return err
		}
	}
	return n.compare(ctx, now, last.Size)
}

// compareSigned holds the tree, and where the log ends, to the newest checkpoint.
func (n *Notary) compareSigned(ctx context.Context, last *Signed, head eventstore.Position, now Head) error {
	signed, err := OpenCheckpoint(last.Checkpoint, n.opts.Verifier)
	switch {
	case err != nil:
		return fmt.Errorf("newest checkpoint: %w", err)
	case signed != last.Head:
		return fmt.Errorf("newest checkpoint: %w: it says size %d, its record %d", ErrSignature, signed.Size, last.Size)
	case head < last.Position || now.Size < signed.Size:
		return fmt.Errorf("%w: signed at size %d, position %d; the log has size %d, position %d",
			ErrRollback, signed.Size, last.Position, now.Size, head)
	}
	was, err := n.opts.Tree.HeadAt(ctx, signed.Size)
	if err == nil && was.Root != signed.Root {
		err = fmt.Errorf("%w: at size %d the signed root is %s, the log's %s", ErrFork, signed.Size, signed.Root, was.Root)
	}
	return err
}

// Sign gives a checkpoint that covers every event up to position, signing one if
// none does. It waits for the tree. Errors: as Check.
func (n *Notary) Sign(ctx context.Context, position eventstore.Position) (Signed, error) {
	if err := n.opts.Tree.WaitThrough(ctx, position); err != nil {
		return Signed{}, fmt.Errorf("sign: %w", err)
	}
	leave, err := n.enter(ctx)
	if err != nil {
		return Signed{}, err
	}
	defer leave()
	if err := n.check(ctx); err != nil {
		return Signed{}, err
	}
	head, at, err := n.opts.Tree.TreeHead(ctx)
	if err != nil {
		return Signed{}, fmt.Errorf("sign: %w", err)
	}
	if last, exists := n.opts.File.Last(); exists && last.Size >= head.Size {
		return last, nil
	}
	checkpoint, err := Sign(head, n.opts.Signer)
	if err != nil {
		return Signed{}, err
	}
	s := Signed{At: n.opts.Clock().UTC(), Position: at, Head: head, Checkpoint: checkpoint}
	if err := n.opts.File.Append(s); err != nil {
		return Signed{}, err
	}
	n.pending = time.Time{}
	return s, nil
}

// Run signs until ctx ends: whenever the oldest event without a checkpoint is
// MaxAge old, or there are MaxEvents of them. It first looks after a Look: what it then
// compares takes the processors from the first commands of an engine that has just started,
// and nothing is due to be signed before.
func (n *Notary) Run(ctx context.Context) {
	ticker := time.NewTicker(n.opts.Look)
	defer ticker.Stop()
	told := "" // of the newest failures, which may go on for days
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch err := n.Step(ctx); {
		case err == nil:
			told = ""
		case n.Refuses() || ctx.Err() != nil: // check has told why, for good
		case err.Error() != told:
			told = err.Error()
			n.opts.Logger.Warn("no checkpoint", "error", err)
		}
	}
}

// Works tells that the newest Step had nothing to complain of: what has to be signed is.
// False before the first.
func (n *Notary) Works() bool { return n.works.Load() }

// Refuses tells that Check found log, tree and newest checkpoint to disagree: this notary
// never signs, and what the checkpoint covers isn't what the log has.
func (n *Notary) Refuses() bool { return n.refuses.Load() }

// Step looks once, and signs if it is time.
func (n *Notary) Step(ctx context.Context) error {
	err := n.step(ctx)
	n.works.Store(err == nil)
	return err
}

func (n *Notary) step(ctx context.Context) error {
	if err := n.Check(ctx); err != nil {
		return err
	}
	head, _, err := n.opts.Tree.TreeHead(ctx)
	if err != nil {
		return err
	}
	last, _ := n.opts.File.Last()
	if head.Size <= last.Size {
		return nil
	}
	due, err := n.due(ctx, head.Size-last.Size)
	if err != nil || !due {
		return err
	}
	_, err = n.Sign(ctx, eventstore.BeforeFirst)
	return err
}

// due says whether so many events, more than none, are long enough without a checkpoint.
func (n *Notary) due(ctx context.Context, events uint64) (bool, error) {
	leave, err := n.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	now := n.opts.Clock()
	if n.pending.IsZero() {
		n.pending = now
	}
	return events >= n.opts.MaxEvents || now.Sub(n.pending) >= n.opts.MaxAge-n.opts.Look, nil
}
