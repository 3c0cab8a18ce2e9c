package audit

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"

	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// Formats of an export.
const (
	FormatHledger = "hledger"
	FormatCSV     = "csv"
	FormatNDJSON  = "ndjson"
)

// Formats lists them.
func Formats() []string { return []string{FormatHledger, FormatCSV, FormatNDJSON} }

// Line is an event with its postings: what an export has of it.
type Line struct {
	eventstore.Fact
	Account  string
	Hash     eventstore.Hash
	Entry    account.Entry
	Postings []journal.Posting
}

// lineOf derives a line of the journal from an event of an account.
func lineOf(f eventstore.Fact) (Line, error) {
	postings, err := journal.Of(f.Body, f.Revision)
	if err != nil {
		return Line{}, err
	}
	name, _ := eventstore.AccountOf(f.Stream)
	entry, _ := account.EntryOf(f.Body)
	if entry.EffectiveAt.IsZero() {
		entry.EffectiveAt = f.Meta.RecordedAt
	}
	return Line{
		Fact: f, Account: name, Entry: entry, Postings: postings,
		Hash: eventstore.ChainHash(f.Stream, f.Revision, f.Event, f.Meta.Previous),
	}, nil
}

// writer puts lines into one format.
type writer interface {
	// begin writes what stands before everything.
	begin(io.Writer) error
	// line writes one event; to io.Discard it only remembers it.
	line(io.Writer, Line) error
	// end writes what may stand last, and again after more lines.
	end(io.Writer) error
}

func newWriter(format string) (writer, error) {
	switch format {
	case FormatHledger:
		return newHledger(), nil
	case FormatCSV:
		return csvWriter{}, nil
	case FormatNDJSON:
		return ndjsonWriter{}, nil
	}
	return nil, fmt.Errorf("format %q is none of %v", format, Formats())
}

// Manifest says what an export has.
type Manifest struct {
	Format string `json:"format"`
	// Events that are in it, from position First to Last; Through is how far the
	// log was read.
	Events int                 `json:"events"`
	First  eventstore.Position `json:"first_position"`
	Last   eventstore.Position `json:"last_position"`
	// LastHash is the chain hash of the event at Last; earlier versions left it out.
	LastHash string              `json:"last_hash,omitzero"`
	Through  eventstore.Position `json:"through_position"`
	Bytes    int64               `json:"bytes"`
	SHA256   string              `json:"sha256"`
	// Complete: the export reached the end of the log as it was then. If not, it
	// was cut short, and the same command goes on with it.
	Complete bool `json:"complete"`
	// Removed are the bytes that this call took off behind the end that the
	// manifest had; Foreign: it had ended there, so they were not an export's.
	Removed int64 `json:"-"`
	Foreign bool  `json:"-"`
}

// export is one that is under way.
type export struct {
	Source
	Manifest
	writer writer
	out    *bufio.Writer
	// keep is called at every keepEvery events: what came so far is durable then.
	keep func() error
}

// keepEvery bounds what a cut export has to do again.
const keepEvery = 10_000

// Export writes the whole log, up to the head at the call, to w.
func Export(ctx context.Context, source Source, format string, w io.Writer, progress func(through, head eventstore.Position)) (Manifest, error) {
	to, err := newWriter(format)
	if err != nil {
		return Manifest{}, err
	}
	counted := newCounted(w)
	e := &export{Source: source, Manifest: Manifest{Format: format}, writer: to, out: bufio.NewWriterSize(counted, 1<<20), keep: func() error { return nil }}
	if err := to.begin(e.out); err != nil {
		return e.Manifest, err
	}
	if err := e.run(ctx, progress); err != nil {
		return e.Manifest, err
	}
	e.Complete = true
	counted.fill(&e.Manifest)
	return e.Manifest, nil
}

// run writes from behind Through on.
func (e *export) run(ctx context.Context, progress func(through, head eventstore.Position)) error {
	head, err := e.Store.Head(ctx)
	if err != nil {
		return err
	}
	since := 0
	err = EachLine(ctx, e.Source, e.Through, head, func(l Line) error {
		if l.Position == e.Through { // it was the last one; from behind it no cluster's log can be read
			return nil
		}
		if err := e.writer.line(e.out, l); err != nil {
			return err
		}
		e.Events, e.Last, e.Through, e.LastHash = e.Events+1, l.Position, l.Position, l.Hash.String()
		if e.First == eventstore.BeforeFirst {
			e.First = l.Position
		}
		if since++; since%keepEvery != 0 {
			return nil
		}
		if progress != nil {
			progress(l.Position, head)
		}
		if err := e.out.Flush(); err != nil {
			return err
		}
		return e.keep()
	})
	if err != nil {
		return err
	}
	e.Through = max(e.Through, head)
	if err := e.writer.end(e.out); err != nil {
		return err
	}
	if progress != nil {
		progress(head, head)
	}
	return e.out.Flush()
}

// EachLine visits the journal from one position to another, both included. On a cluster from
// MUST be one that ReadAll takes.
func EachLine(ctx context.Context, source Source, from, through eventstore.Position, visit func(Line) error) error {
	if from > through {
		return nil
	}
	for r, err := range source.Store.ReadAll(ctx, from, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return err
		}
		if r.Position > through {
			return nil
		}
		if _, ours := eventstore.AccountOf(r.Stream); !ours {
			continue
		}
		f, err := source.Codec.Open(r)
		if err != nil {
			return err
		}
		l, err := lineOf(f)
		if err != nil {
			return err
		}
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}
