// Package eventstore is the contract of the log and what is written into it:
// recorded events, their JSON, the hash chain that ties them together. It knows
// no rule of money and no database; stores live in folders of their own.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
)

// NoStream is the revision of a stream that has no event.
const NoStream int64 = -1

// Places beyond all events, from which reads begin.
const (
	// End is a revision beyond every event of a stream, EndOfLog a position beyond
	// every event of the log: a backwards read from there gives the newest.
	End      int64    = math.MaxInt64
	EndOfLog Position = math.MaxUint64
	// BeforeFirst is the position before every event, and the head of an empty log.
	BeforeFirst Position = 0
)

// Position orders all events of a log. Positions grow, may have gaps, and 0 is
// before the first event.
type Position uint64

// Direction of a read.
type Direction int

// Forwards is from old to new.
const (
	Forwards Direction = iota
	Backwards
)

// Event is what a writer hands over. A store MUST NOT alter any of it.
type Event struct {
	ID       uuid.UUID
	Type     string
	Data     []byte
	Metadata []byte
	// Written is what the writer made the event of, or nil. No store keeps it: one
	// that hands an event on from memory may leave it there.
	Written *Written
}

// Written is an event as it was before it was encoded. It MUST be what decoding
// gives, and nobody changes it ever again.
type Written struct {
	Meta Metadata
	Body domain.Event
	// Hash is the event's chain hash.
	Hash Hash
}

// Recorded is an event in its place. A reader MUST NOT change its bytes.
type Recorded struct {
	Event
	Stream   string
	Revision int64
	Position Position
	// Created is the store's own clock at the append: information, never an
	// input to a rule. When we learnt a fact is Metadata.RecordedAt.
	Created time.Time
}

// Appended says where an append landed.
type Appended struct {
	// Revision of the last event.
	Revision int64
	// Positions of the events, one each. A store that learns only the last
	// position of an append (a cluster's client) repeats that one: Positions[i]
	// is at or after event i.
	Positions []Position
}

// Store is the log. storetest holds every implementation to this contract.
//
// Every method is safe for concurrent use, obeys ctx, and answers ErrClosed
// once the store is closed.
type Store interface {
	// Append writes events to stream as one unit: all of them become visible
	// together, to readers and subscribers alike, or none ever does. It MUST NOT
	// return nil before they would survive a power cut.
	//
	// expected is the stream's last revision, or NoStream. If the stream is
	// elsewhere, the answer is a *ConflictError and nothing was written; except
	// that when the stream has events after expected and the first len(events)
	// of them have the same ids, this is the repeat of an append whose outcome
	// the caller never learnt: the answer is the first one's.
	//
	// ErrUnavailable means that nothing was written and that trying again later
	// makes sense. After any other error, a cancelled ctx included, the outcome
	// is unknown: the caller MUST repeat the identical append or reload before
	// it builds on the stream.
	//
	// MUST: 1 <= len(events); ids differ; stream is 1 to MaxStreamName bytes of UTF-8,
	// and every type is UTF-8 too, of at most MaxTypeName bytes. CheckAppend says what
	// is wrong. And the caller never changes the events' bytes again: the store may hand
	// them to subscribers as they are.
	Append(ctx context.Context, stream string, expected int64, events []Event) (Appended, error)

	// ReadStream yields at most limit events of stream from revision from on,
	// that one included. A stream that doesn't exist has no events. An error is
	// yielded once and ends the sequence; a damaged record is a *CorruptError.
	ReadStream(ctx context.Context, stream string, from int64, direction Direction, limit int) iter.Seq2[Recorded, error]

	// ReadAll yields at most limit events of the log. Forwards: at positions
	// >= from; backwards: < from. On a cluster from MUST be BeforeFirst, EndOfLog
	// or the position of an event.
	ReadAll(ctx context.Context, from Position, direction Direction, limit int) iter.Seq2[Recorded, error]

	// Subscribe yields every event at a position > after, in order, each once,
	// as batches: first what is there, then what is appended, until ctx ends or
	// an error is yielded. It MUST NOT yield what a power cut could still take
	// back, and MUST NOT lose an event however slow the receiver is. No batch is
	// empty, and on a store that can (the embedded one) none ends inside an append.
	Subscribe(ctx context.Context, after Position) iter.Seq2[[]Recorded, error]

	// Head is the position of the last durable event, or BeforeFirst.
	Head(ctx context.Context) (Position, error)

	// Close ends all subscriptions and waits for appends under way.
	Close() error
}

// Scavenger is a store that can take events away for good.
type Scavenger interface {
	// Scavenge erases type, data and metadata of every event that gone says is
	// gone; reads and subscriptions leave it out from then on. Its place, id, stream
	// and time stay: revisions and positions are as before, and repeating its append
	// is still a repeat. When it returns nil, what was erased, now or by a Scavenge
	// before, is in none of the store's files any more; copies made before have it.
	// It waits for reads that began before, and lets appends go on.
	//
	// The answer is how many events were erased. gone MAY read the store. It MUST
	// NOT say so of the newest event of a stream, nor of a stream that is Kept, for
	// which the answer is ErrInvalid.
	Scavenge(ctx context.Context, gone func(*Recorded) (bool, error)) (erased int, err error)
}

// Place is where an event is, as an index says.
type Place struct {
	Stream   string
	Revision int64
	Position Position
}

// Indexed is a store that keeps where each stream's events are: ReadStream and Append go
// by that, ReadAll and Subscribe don't, so a fault in it is seen only by who compares.
type Indexed interface {
	// Places yields what the index says, whatever the log says, and in no order; nothing of
	// an event that isn't durable yet. An error is yielded once and ends the sequence; an
	// entry that can't be read is a *CorruptError.
	Places(ctx context.Context) iter.Seq2[Place, error]
}

// Append is an append that others may be handed over with, and its answer.
type Append struct {
	Stream   string
	Expected int64
	Events   []Event
	// Appended and Err are what Store.Append would have answered.
	Appended Appended
	Err      error
}

// AsyncAppender is a store that takes appends without holding their caller.
type AsyncAppender interface {
	// AppendAsync does what Append does, without a context, for one or more appends to
	// as many streams: each is done or fails on its own. done is called once, when all
	// of them have their answers, perhaps before AppendAsync returns; until then they
	// are the store's. It is called on a goroutine that other answers wait for: it MUST
	// NOT block.
	AppendAsync(appends []*Append, done func())
}

// Async gives the store's own asynchronous appends, or makes them of Append with
// a goroutine each. ctx bounds the latter.
func Async(ctx context.Context, s Store) AsyncAppender {
	if own, ok := s.(AsyncAppender); ok {
		return own
	}
	return goroutines{ctx, s}
}

type goroutines struct {
	ctx   context.Context
	store Store
}

func (g goroutines) AppendAsync(appends []*Append, done func()) {
	var left atomic.Int64
	left.Store(int64(len(appends)))
	for _, a := range appends {
		go func() {
			a.Appended, a.Err = g.store.Append(g.ctx, a.Stream, a.Expected, a.Events)
			if left.Add(-1) == 0 {
				done()
			}
		}()
	}
}

// MaxStreamName, MaxTypeName and MaxEventBytes bound what every store takes.
const (
	MaxStreamName = 1024
	MaxTypeName   = 1024
	// MaxEventBytes is data plus metadata of one event.
	MaxEventBytes = 4 << 20
)

// Snapshot is a folded state of a stream. It is a cache: a store MAY lose one.
type Snapshot struct {
	// Revision of the last event that is folded in.
	Revision int64
	// Fold is the version of the fold that made Data (design.md rule 16).
	Fold string
	Data []byte
}

// Snapshots keeps the newest snapshot of each stream.
type Snapshots interface {
	SaveSnapshot(ctx context.Context, stream string, snapshot Snapshot) error
	// LoadSnapshot answers false where there is none.
	LoadSnapshot(ctx context.Context, stream string) (Snapshot, bool, error)
}

// Errors that every store answers with; compare with errors.Is.
var (
	// ErrUnavailable: nothing was written, or read, try again later (no room on the disk,
	// too much waiting, cluster out of reach, too many files open).
	ErrUnavailable = errors.New("event store unavailable")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("event store closed")
	// ErrInvalid: the call breaks the contract (an empty append, a name that is
	// too long). Nothing was written.
	ErrInvalid = errors.New("invalid append")
)

// ConflictError: the stream is not where the writer expected it.
type ConflictError struct {
	Stream           string
	Expected, Actual int64
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %q is at revision %d, expected %d", e.Stream, e.Actual, e.Expected)
}

// CorruptError: a record is damaged. Whoever meets one MUST stop: what comes
// after it can't be trusted to be complete.
type CorruptError struct {
	Position Position
	Stream   string
	Revision int64
	Reason   string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("damaged record at position %d (stream %q, revision %d): %s", e.Position, e.Stream, e.Revision, e.Reason)
}
