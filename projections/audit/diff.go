package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/domain"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/projections"
)

// Diff checks one account: it folds the stream afresh, and compares with every
// row that the read models have of the account, its notices among them. Errors:
// CodeUnknownAccount; CodeLimitExceeded where it has more than MaxEvents.
func Diff(ctx context.Context, source Source, account string, opts Options) (Summary, error) {
	opts.defaults()
	v := &verification{Source: source, Options: opts, seen: map[Finding]bool{}}
	if err := v.limit(ctx, account); err != nil {
		return v.summary, err
	}
	s, err := v.followStream(ctx, eventstore.AccountStream(account))
	if err != nil {
		return v.summary, err
	}
	v.summary.Incomplete = true
	if lacks, err := v.lacksEvents(ctx, s); err != nil || lacks {
		return v.summary, v.unreadable(err)
	}
	if v.summary.Events == 0 && v.summary.Findings == 0 {
		return v.summary, domain.Refuse(domain.CodeUnknownAccount, "the log has no account %q", account).With("account", account)
	}
	v.summary.Accounts, v.summary.Incomplete = 1, s.broken
	s.end(&v.summary.Totals, new(journal.Sum))
	v.unopened()
	beside, err := v.followStream(ctx, eventstore.NoticesStream(account))
	if err != nil || source.Views == nil || s.broken || beside.broken || !v.comparable() {
		return v.summary, err
	}
	return v.summary, v.unreadable(v.compareAccount(ctx, account))
}

// lacksEvents finds an account of which the read models know more than its stream: the log
// has the events, but not where they are. The rows aren't compared then: they would all differ.
func (v *verification) lacksEvents(ctx context.Context, s *stream) (bool, error) {
	if v.Views == nil || s.broken {
		return false, nil
	}
	newest, err := v.Views.Newest(ctx, s.account)
	if err != nil || newest <= s.revision {
		return false, err
	}
	v.report(Finding{
		Check: CheckIndex, Account: s.account, Revision: s.revision + 1, Position: v.Views.Position(),
		Expected: fmt.Sprintf("events up to revision %d, as the read models have them", newest), Found: "no entry",
	})
	return true, nil
}

// limit refuses an account that is too large, before anything of it is folded.
func (v *verification) limit(ctx context.Context, account string) error {
	if v.MaxEvents == 0 {
		return nil
	}
	events := int64(0)
	for _, name := range []string{eventstore.AccountStream(account), eventstore.NoticesStream(account)} {
		for r, err := range v.Store.ReadStream(ctx, name, eventstore.End, eventstore.Backwards, 1) {
			var corrupt *eventstore.CorruptError
			if errors.As(err, &corrupt) {
				break // it is found, and then no read models are built
			}
			if err != nil {
				return err
			}
			events += r.Revision + 1
		}
	}
	if events <= v.MaxEvents {
		return nil
	}
	return domain.Refuse(domain.CodeLimitExceeded, "the account has %d events, and %d are verified here at most: run `iocredits diff %s`", events, v.MaxEvents, account).
		With("field", "account").With("value", strconv.FormatInt(events, 10)).With("limit", strconv.FormatInt(v.MaxEvents, 10))
}

// followStream checks one stream up to its end, or to where it can't be read.
func (v *verification) followStream(ctx context.Context, name string) (*stream, error) {
	s := newStream(name, v.Codec, new(eventstore.Digester), v.snapshots(ctx), v.report)
	for r, err := range v.Store.ReadStream(ctx, name, 0, eventstore.Forwards, math.MaxInt) {
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) {
			v.report(Finding{
				Check: CheckRecord, Account: s.account, Revision: corrupt.Revision, Position: corrupt.Position,
				Expected: "a whole record", Found: corrupt.Reason,
			})
			s.broken = true
			break
		}
		if err != nil {
			return s, err
		}
		s.follow(&r)
		if !s.beside {
			v.summary.Events++
			v.summary.Position = r.Position
		}
	}
	return s, nil
}

// compareAccount builds the account's rows from its events alone.
func (v *verification) compareAccount(ctx context.Context, account string) (err error) {
	log := accountLog{
		Store: v.Store, end: v.Views.Position(),
		streams: [2]string{eventstore.AccountStream(account), eventstore.NoticesStream(account)},
	}
	disk, dir := vfs.FS(vfs.NewMem()), "views"
	if v.Scratch != "" {
		disk, dir = vfs.Default, filepath.Join(v.Scratch, dir)
	}
	built, err := build(ctx, log, v.Codec, disk, dir, v.Options, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, built.Close()) }()
	v.summary.ViewsCompared = true
	var differences []Finding // told in an order of their own, not in that of the keys
	differs := func(r projections.Row, expected, found string) {
		differences = append(differences, rowFinding(r, v.Views.Position(), expected, found))
	}
	for row, err := range built.RowsOf(ctx, account) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		v.summary.Rows++
		got, found, err := v.Views.Value(ctx, row.Key)
		switch {
		case err != nil:
			return err
		case !found:
			differs(row, row.Text(), "no row")
		case !bytes.Equal(got, row.Value):
			differs(row, row.Text(), projections.Row{Key: row.Key, Value: got}.Text())
		}
	}
	for row, err := range v.Views.RowsOf(ctx, account) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if _, expected, err := built.Value(ctx, row.Key); err != nil {
			return err
		} else if !expected {
			differs(row, "no row", row.Text())
		}
	}
	slices.SortFunc(differences, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	for _, f := range differences {
		v.report(f)
	}
	return nil
}

// accountLog is the log as if there were one account, up to a position: its own
// stream and the one of its notices.
type accountLog struct {
	eventstore.Store
	streams [2]string
	end     eventstore.Position
}

func (l accountLog) Head(ctx context.Context) (head eventstore.Position, err error) {
	for _, stream := range l.streams {
		for r, err := range l.ReadStream(ctx, stream, eventstore.End, eventstore.Backwards, math.MaxInt) {
			if err != nil {
				return 0, err
			}
			if r.Position <= l.end {
				head = max(head, r.Position)
				break
			}
		}
	}
	return head, nil
}

// all yields both streams in the order of the log.
func (l accountLog) all(ctx context.Context) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		beside, stop := iter.Pull2(l.ReadStream(ctx, l.streams[1], 0, eventstore.Forwards, math.MaxInt))
		defer stop()
		b, berr, more := beside()
		for r, err := range l.ReadStream(ctx, l.streams[0], 0, eventstore.Forwards, math.MaxInt) {
			for more && (berr != nil || b.Position < r.Position) {
				if !yield(b, berr) || berr != nil {
					return
				}
				b, berr, more = beside()
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		for ; more; b, berr, more = beside() {
			if !yield(b, berr) || berr != nil {
				return
			}
		}
	}
}

func (l accountLog) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		var events []eventstore.Recorded
		for r, err := range l.all(ctx) {
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
