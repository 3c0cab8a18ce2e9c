package audit

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/domain"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/projections"
)

// Diff checks one account: it folds the stream afresh, and compares with every
// row that the read models have of the account. Error: CodeUnknownAccount.
func Diff(ctx context.Context, source Source, account string, opts Options) (Summary, error) {
	opts.defaults()
	v := &verification{Source: source, Options: opts, seen: map[Finding]bool{}}
	s := newStream(account, source.Codec, new(eventstore.Digester), v.report)
	for r, err := range source.Store.ReadStream(ctx, eventstore.AccountStream(account), 0, eventstore.Forwards, math.MaxInt) {
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) {
			v.report(Finding{
				Check: CheckRecord, Account: account, Revision: corrupt.Revision, Position: corrupt.Position,
				Expected: "a whole record", Found: corrupt.Reason,
			})
			s.broken = true
			break
		}
		if err != nil {
			return v.summary, err
		}
		s.follow(&r)
		v.summary.Events++
		v.summary.Position = r.Position
	}
	if v.summary.Events == 0 && v.summary.Findings == 0 {
		return v.summary, domain.Refuse(domain.CodeUnknownAccount, "the log has no account %q", account).With("account", account)
	}
	v.summary.Accounts = 1
	s.end(&v.summary.Totals, new(journal.Sum))
	if source.Views == nil || s.broken {
		return v.summary, nil
	}
	return v.summary, v.compareAccount(ctx, account)
}

// compareAccount builds the account's rows from its events alone.
func (v *verification) compareAccount(ctx context.Context, account string) (err error) {
	log := accountLog{Store: v.Store, stream: eventstore.AccountStream(account), end: v.Views.Position()}
	built, err := build(ctx, log, v.Codec, vfs.NewMem(), "views", v.Options, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, built.Close()) }()
	v.summary.ViewsCompared = true
	var found []Finding
	differs := func(r projections.Row, expected, got string) {
		found = append(found, rowFinding(r, v.Views.Position(), expected, got))
	}
	for row, err := range built.RowsOf(account) {
		if err != nil {
			return err
		}
		v.summary.Rows++
		got, found, err := v.Views.Value(row.Key)
		switch {
		case err != nil:
			return err
		case !found:
			differs(row, row.Text(), "no row")
		case !bytes.Equal(got, row.Value):
			differs(row, row.Text(), projections.Row{Key: row.Key, Value: got}.Text())
		}
	}
	for row, err := range v.Views.RowsOf(account) {
		if err != nil {
			return err
		}
		if _, expected, err := built.Value(row.Key); err != nil {
			return err
		} else if !expected {
			differs(row, "no row", row.Text())
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	for _, f := range found {
		v.report(f)
	}
	return nil
}

// accountLog is the log as if there were one account, up to a position.
type accountLog struct {
	eventstore.Store
	stream string
	end    eventstore.Position
}

func (l accountLog) Head(ctx context.Context) (eventstore.Position, error) {
	for r, err := range l.ReadStream(ctx, l.stream, eventstore.End, eventstore.Backwards, math.MaxInt) {
		if err != nil {
			return 0, err
		}
		if r.Position <= l.end {
			return r.Position, nil
		}
	}
	return eventstore.BeforeFirst, nil
}

func (l accountLog) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		var events []eventstore.Recorded
		for r, err := range l.ReadStream(ctx, l.stream, 0, eventstore.Forwards, math.MaxInt) {
			if err != nil {
				yield(nil, err)
				return
			}
			if r.Position > l.end {
				break
			}
			if r.Position <= after {
				continue
			}
			if events = append(events, r); len(events) == batchSize {
				if !yield(events, nil) {
					return
				}
				events = nil
			}
		}
		if len(events) > 0 && !yield(events, nil) {
			return
		}
		<-ctx.Done() // who reads to the end has it; who follows waits
	}
}
