package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// A scavenge takes events out of streams that aren't kept for ever: replaced keys,
// metadata that was overwritten, what others let expire. Those behind them keep their
// revisions, which metadata ($tb) and readers count on, and no cluster lets a stream
// begin anywhere but at 0. So the copy puts an event without content in each place;
// the stream's metadata, which hid what was there, hides it as well, and the next
// scavenge of the cluster takes it.

// typeGap is its type. Stored names are for ever.
const typeGap = "scavenged"

// gapSpace makes the ids, the same at each try.
var gapSpace = uuid.MustParse("6f5ad2a5-0a4e-4f53-9d0c-2f1c3a4b7e10")

// isGap tells an event that stands for a scavenged one. Of a stream that is kept none
// is ever scavenged.
func isGap(r *eventstore.Recorded) bool { return r.Type == typeGap && !eventstore.Kept(r.Stream) }

// deletes is in the metadata of a stream of which no event is to be seen.
var deletes = []byte(strconv.FormatInt(eventstore.End, 10))

// hasEnded says that an event is the delete of a stream, and not its newest metadata.
func (k *copier) hasEnded(ctx context.Context, r *eventstore.Recorded) (bool, error) {
	var metadata struct {
		TruncateBefore jsontext.Value `json:"$tb"`
	}
	_, isMeta := eventstore.MetadataOf(r.Stream)
	if !isMeta || !bytes.Contains(r.Data, deletes) || json.Unmarshal(r.Data, &metadata, lenient) != nil || !bytes.Equal(metadata.TruncateBefore, deletes) {
		return false, nil
	}
	for _, err := range k.from.ReadStream(ctx, r.Stream, r.Revision+1, eventstore.Forwards, 1) {
		return err == nil, err
	}
	return false, nil
}

// lenient takes the JSON that a cluster takes for metadata.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func gapAt(stream string, revision int64) eventstore.Event {
	id := uuid.NewSHA1(gapSpace, []byte(stream+"\x00"+strconv.FormatInt(revision, 10)))
	return eventstore.Event{ID: id, Type: typeGap, Data: []byte("{}"), Metadata: []byte("{}")}
}

// overGap appends a run that the cluster's stream is too short for, after what a
// scavenge has taken before it. What the cluster still has of that is from a copy
// before the scavenge. If nothing was taken there, the answer is the conflict.
func (k *copier) overGap(ctx context.Context, run []eventstore.Recorded, events []eventstore.Event, conflict *eventstore.ConflictError) error {
	stream, first := run[0].Stream, run[0].Revision
	before, err := k.before(ctx, stream, first)
	switch {
	case err != nil:
		return err
	case eventstore.Kept(stream) || conflict.Actual < before || conflict.Actual >= first-1:
		return conflict
	}
	for next := conflict.Actual + 1; next < first; next += copyEvents {
		err := k.fill(ctx, stream, next, min(next+copyEvents, first))
		if conflict.Actual == eventstore.NoStream && isConflict(err) {
			err = k.fillEach(ctx, stream, next, first)
			next = first
		}
		if err != nil {
			return err
		}
	}
	_, err = k.to.Append(ctx, stream, first-1, events)
	return err
}

// fill puts events without content at the revisions from one up to another.
func (k *copier) fill(ctx context.Context, stream string, from, to int64) error {
	gap := make([]eventstore.Event, 0, to-from)
	for revision := from; revision < to; revision++ {
		gap = append(gap, gapAt(stream, revision))
	}
	_, err := k.to.Append(ctx, stream, from-1, gap)
	return err
}

// fillEach is fill where nobody knows what is there already: metadata may hide the end of
// a stream.
func (k *copier) fillEach(ctx context.Context, stream string, from, to int64) error {
	for revision := from; revision < to; revision++ {
		if err := k.fill(ctx, stream, revision, revision+1); err != nil && !isConflict(err) {
			return err
		}
	}
	return nil
}

func isConflict(err error) bool {
	var conflict *eventstore.ConflictError
	return errors.As(err, &conflict)
}

// before is the revision of the newest event before one that is copied; NoStream if
// there is none.
func (k *copier) before(ctx context.Context, stream string, revision int64) (int64, error) {
	if revision == 0 {
		return eventstore.NoStream, nil
	}
	for r, err := range k.from.ReadStream(ctx, stream, revision-1, eventstore.Backwards, math.MaxInt) {
		if err != nil {
			return 0, err
		}
		if moves, err := k.moves(ctx, &r); err != nil || moves {
			return r.Revision, err
		}
	}
	return eventstore.NoStream, nil
}

// scavenged says that the log to copy once had an event where the cluster has one, and
// has only later ones of its stream now, or a delete that has ended.
func (k *copier) scavenged(ctx context.Context, c *eventstore.Recorded) (bool, error) {
	if eventstore.Kept(c.Stream) {
		return false, nil
	}
	for r, err := range k.from.ReadStream(ctx, c.Stream, c.Revision, eventstore.Forwards, 1) {
		if err != nil || r.Revision > c.Revision || isGap(&r) {
			return err == nil, err
		}
		return k.hasEnded(ctx, &r)
	}
	return false, nil
}

// refused puts a conflict in words.
func refused(stream string, err error) error {
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		return fmt.Errorf("the cluster has other events in stream %q than the log to copy: %w", stream, err)
	}
	return err
}
