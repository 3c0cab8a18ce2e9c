package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/schollz/progressbar/v3"

	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/pebblestore"
)

type copyCmd struct {
	From          string `help:"Data directory of an engine that is stopped." required:"" placeholder:"DIR"`
	To            string `help:"The cluster: esdb://… or esdb+discover://…" required:"" placeholder:"URL"`
	KeyringSecret string `help:"Required: file with 32 random bytes in hex that wrap the keyring there, as for serve." placeholder:"FILE"`
}

// One append of the copy: a run of events of one stream, well below what a
// cluster takes at once.
const (
	copyEvents = 500
	copyBytes  = 512 << 10
)

// copied is the line that is printed in the end.
const copied = "copied %d events and %d keys, %d events were there before\nverified: both logs have %d events with SHA-256 %s\n"

// Run copies the keyring, then the log in its order, then compares them.
func (c *copyCmd) Run(ctx context.Context, m *Main) (err error) {
	dir := dataDir(c.From)
	lock, err := dir.hold()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	logger := m.warnings()
	from, err := openEmbedded(dir, pebblestore.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := openCluster(ctx, c.To, c.KeyringSecret, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()

	keys, err := copyKeys(ctx, dir, from, to)
	if err != nil {
		return err
	}
	head, err := from.store.Head(ctx)
	if err != nil {
		return err
	}
	k := &copier{from: from.store, to: to.store, bar: newBar(m.Stderr, int(head), "events")}
	written, err := k.copy(ctx, head)
	if err != nil {
		return err
	}
	k.bar = newBar(m.Stderr, int(head), "events compared")
	n, digest, err := k.compare(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(m.Stdout, copied, written, keys, n-written, n, digest)
	return err
}

// copyKeys puts every account's newest key into the cluster's keyring: first,
// because a text without its key is lost. For the same reason the keyring MUST be the one
// of the log: an engine on a cluster makes an account that has no key another one.
func copyKeys(ctx context.Context, dir dataDir, from, to *eventLog) (n int, err error) {
	file, err := keyring.Open(dir.keyring(), keyring.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := (&eventLog{store: from.store, keys: keysToCopy{file, from.store}}).checkKeys(ctx, dir); err != nil {
		return 0, err
	}
	target, ok := to.keys.(*keyring.LogKeys)
	if !ok {
		return 0, errors.New("the cluster's keyring takes no keys")
	}
	for _, account := range file.Accounts() {
		key, status, err := file.Find(ctx, account)
		if err != nil {
			return n, err
		}
		onlyCopies := func(ctx context.Context) error { return onlyCopies(ctx, account, from.store, to.store) }
		if err := target.Import(ctx, account, key, status, onlyCopies); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// onlyCopies refuses an account that has events in the cluster which no copy has put there:
// engines have used it, under a key that the log to copy never had. Then neither log is a
// beginning of the other, and no copy can put that right.
func onlyCopies(ctx context.Context, account string, from, to eventstore.Store) error {
	stream := eventstore.AccountStream(account)
	for newest, err := range to.ReadStream(ctx, stream, eventstore.End, eventstore.Backwards, 1) {
		if err != nil {
			return err
		}
		for r, err := range from.ReadStream(ctx, stream, newest.Revision, eventstore.Forwards, 1) {
			if err != nil || r.Revision == newest.Revision && r.ID == newest.ID {
				return err
			}
		}
		return fmt.Errorf("the cluster has other events in stream %q than the log to copy: engines have run on it; copy to an empty one", stream)
	}
	return nil
}

// keysToCopy finds the keys in a file, and those that engines have shared in the log, which
// move with it.
type keysToCopy struct {
	*keyring.FileKeys
	log eventstore.Store
}

// Find implements keyring.Keys. Of a key in the log it says only that it is there.
func (k keysToCopy) Find(ctx context.Context, account string) (keyring.Key, keyring.Status, error) {
	key, status, err := k.FileKeys.Find(ctx, account)
	if err != nil || status != keyring.None {
		return key, status, err
	}
	for _, err := range k.log.ReadStream(ctx, eventstore.KeyStream(account), eventstore.End, eventstore.Backwards, 1) {
		return key, keyring.Live, err
	}
	return key, keyring.None, nil
}

// copier copies one log to another, event by event in the same order. So what is
// there after an interruption is a beginning of the whole.
type copier struct {
	from, to eventstore.Store
	bar      *progressbar.ProgressBar
}

// moves says whether an event is of the log that is copied. A delete that has ended isn't:
// another one is where it was.
func (k *copier) moves(ctx context.Context, r *eventstore.Recorded) (bool, error) {
	if !movable(r) {
		return false, nil
	}
	ended, err := k.hasEnded(ctx, r)
	return err == nil && !ended, err
}

// movable: leases are of the moment, side streams are the store's own, a tombstone
// isn't an append, and what stands for a scavenged event is put there anew.
func movable(r *eventstore.Recorded) bool {
	of, _ := eventstore.MetadataOf(r.Stream)
	return !strings.HasPrefix(of, eventstore.SidePrefix) && !strings.HasPrefix(of, eventstore.LeaseStream("")) &&
		r.Type != eventstore.TypeTombstone && !isGap(r)
}

// copy finds where an earlier run has ended and goes on from there.
func (k *copier) copy(ctx context.Context, head eventstore.Position) (written int, err error) {
	start, err := k.resume(ctx, head)
	if err != nil {
		return 0, err
	}
	_ = k.bar.Set(int(start) - 1)
	var run []eventstore.Recorded
	bytes := 0
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		err := k.append(ctx, run)
		written += len(run)
		_ = k.bar.Set(int(run[len(run)-1].Position))
		run, bytes = run[:0], 0
		return err
	}
	for r, err := range k.from.ReadAll(ctx, start, eventstore.Forwards, math.MaxInt) {
		moves := false
		if err == nil {
			moves, err = k.moves(ctx, &r)
		}
		if err != nil {
			return written, err
		}
		if !moves {
			continue
		}
		size := len(r.Data) + len(r.Metadata)
		if n := len(run); n > 0 && (run[0].Stream != r.Stream || run[n-1].Revision != r.Revision-1 || n >= copyEvents || bytes+size > copyBytes) {
			if err := flush(); err != nil {
				return written, err
			}
		}
		run = append(run, r)
		bytes += size
	}
	err = flush()
	_ = k.bar.Finish()
	return written, err
}

// append writes a run at the revisions that it has in the old log. What is there
// already with the same ids is a repeat, and anything else another log; what a
// scavenge took before it is made up for.
func (k *copier) append(ctx context.Context, run []eventstore.Recorded) error {
	events := make([]eventstore.Event, len(run))
	for i := range run {
		events[i] = run[i].Event
	}
	_, err := k.to.Append(ctx, run[0].Stream, run[0].Revision-1, events)
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		err = k.overGap(ctx, run, events, conflict)
	}
	if errors.Is(err, eventstore.ErrInvalid) {
		return fmt.Errorf("the cluster refuses stream %q, revisions %d to %d: %w", run[0].Stream, run[0].Revision, run[len(run)-1].Revision, err)
	}
	return refused(run[0].Stream, err)
}

// resume finds, by binary search, the first position whose event isn't in the cluster.
func (k *copier) resume(ctx context.Context, head eventstore.Position) (eventstore.Position, error) {
	low, high := eventstore.Position(1), head+1
	for low < high {
		middle := low + (high-low)/2
		there, at, err := k.has(ctx, middle)
		if err != nil {
			return 0, err
		}
		if there {
			low = at + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// has says whether the first event at or after a position that moves is in the
// cluster, and where it is. If none is left, all of them are.
func (k *copier) has(ctx context.Context, from eventstore.Position) (there bool, at eventstore.Position, err error) {
	at = from
	for r, err := range k.from.ReadAll(ctx, from, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return false, 0, err
		}
		at = r.Position
		if moves, err := k.moves(ctx, &r); err != nil {
			return false, 0, err
		} else if !moves {
			continue
		}
		// Metadata may hide it, but not the events after it. To copy it again does no harm.
		for c, err := range k.to.ReadStream(ctx, r.Stream, r.Revision, eventstore.Forwards, 1) {
			return err == nil && (c.ID == r.ID || c.Revision > r.Revision), at, err
		}
		return false, at, nil
	}
	return true, at, nil
}

// compare reads both logs side by side. Beside the copied events the cluster may
// have what is its own: system streams, keys, snapshots.
func (k *copier) compare(ctx context.Context) (n int, digest eventstore.Hash, err error) {
	next, stop := iter.Pull2(k.to.ReadAll(ctx, eventstore.BeforeFirst, eventstore.Forwards, math.MaxInt))
	defer stop()
	var theirs eventstore.Hash
	for r, err := range k.from.ReadAll(ctx, eventstore.BeforeFirst, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return n, digest, err
		}
		_ = k.bar.Set(int(r.Position))
		if moves, err := k.moves(ctx, &r); err != nil {
			return n, digest, err
		} else if !moves {
			continue
		}
		c, found, err := k.nextCopied(ctx, next, r)
		if err != nil {
			return n, digest, err
		}
		digest = eventstore.ChainHash(r.Stream, r.Revision, r.Event, digest)
		theirs = eventstore.ChainHash(c.Stream, c.Revision, c.Event, theirs)
		if !found || digest != theirs {
			return n, digest, fmt.Errorf("the copy differs at position %d: stream %q, revision %d; the cluster has %q, revision %d there",
				r.Position, r.Stream, r.Revision, c.Stream, c.Revision)
		}
		n++
	}
	_ = k.bar.Finish()
	return n, digest, nil
}

// nextCopied gives the cluster's next event that can be a copied one, and the copy of
// r. It leaves out what a scavenge has taken from the old log since it was copied, and
// deletes that have ended since then.
func (k *copier) nextCopied(ctx context.Context, next func() (eventstore.Recorded, error, bool), r eventstore.Recorded) (eventstore.Recorded, bool, error) {
	for {
		c, err, ok := next()
		if err != nil || !ok {
			return eventstore.Recorded{}, false, err
		}
		if c.Stream == r.Stream && c.Revision == r.Revision {
			return c, true, nil
		}
		of, _ := eventstore.MetadataOf(c.Stream)
		_, isKey := eventstore.KeyAccountOf(of)
		if !movable(&c) || c.Stream != r.Stream && (isKey || strings.HasPrefix(c.Stream, "$")) {
			continue
		}
		if gone, err := k.scavenged(ctx, &c); !gone || err != nil {
			return c, err == nil, err
		}
	}
}
