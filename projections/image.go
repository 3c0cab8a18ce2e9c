package projections

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// Image is the views' database as of one moment: a live engine's, a copy of it, or
// a stopped one's. It is only ever read: an auditor holds it against the log.
type Image struct {
	views *Views // which may be closed: their options are what counts
	db    pebble.Reader
	end   func() error
	checkpoint
}

// CurrentFormat is what views of this version are written in.
const CurrentFormat = format

// OpenImage opens the views in dir. False if there are none. Of opts it needs the log
// that the views followed.
func OpenImage(dir string, opts Options) (*Image, bool, error) {
	opts.defaults()
	v := &Views{opts: opts, dir: dir}
	number, err := v.readCurrent()
	if err != nil || number == 0 {
		return nil, false, err
	}
	if _, err := opts.FS.Stat(v.generationDir(number)); isNotExist(err) {
		return nil, false, fmt.Errorf("%w: %s names a generation that isn't there: %w", errDamaged, currentFile, err)
	}
	cache := pebble.NewCache(32 << 20)
	db, err := pebble.Open(v.generationDir(number), &pebble.Options{
		FS: opts.FS, Cache: cache, ReadOnly: true, FormatMajorVersion: pebble.FormatNewest,
		Logger: opts.pebbleLogger(), EventListener: v.damageOf(number),
	})
	if err != nil {
		cache.Unref()
		return nil, false, fmt.Errorf("open read models %s: %w", dir, err)
	}
	i, err := v.newImage(db, func() error {
		defer cache.Unref()
		return db.Close()
	})
	return i, err == nil, err
}

func (v *Views) newImage(db pebble.Reader, end func() error) (*Image, error) {
	c, err := readCheckpoint(db)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return &Image{views: v, db: db, end: end, checkpoint: c}, nil
}

// Image gives the views as of this moment, to be closed soon: it holds up a
// rebuild that would replace them.
func (v *Views) Image() (*Image, error) {
	g, leave, err := v.enter()
	if err != nil {
		return nil, err
	}
	db := g.db.NewSnapshot()
	return v.newImage(db, func() error {
		defer leave()
		return db.Close()
	})
}

// Position is that of the last event in the views.
func (i *Image) Position() eventstore.Position { return i.checkpoint.Position }

// Format is what the views are written in; empty: they have nothing.
func (i *Image) Format() string { return i.checkpoint.Format }

// Close closes the image.
func (i *Image) Close() error { return i.end() }

// Row is one entry of the views, as bytes.
type Row struct{ Key, Value []byte }

// kinds names the rows for people.
var kinds = map[byte]string{
	checkpointKey: "checkpoint", balancePrefix: "balance", transactionPrefix: "transaction", namePrefix: "name",
	lotPrefix: "lot", setDeadlinePrefix: "deadline", deadlinePrefix: "due", objectPrefix: "object", queuePrefix: "queue", changedPrefix: "changed",
	companyKey: "trial-balance", milestonePrefix: "milestone", latePrefix: "late-entry",
	nodePrefix: "tree", edgeKey: "tree-head",
	noticePrefix: "notice", noticeIDPrefix: "notice-id", announcedPrefix: "expiry-announced", relatedPrefix: "related",
	partsPrefix: "parts-so-far", forgottenPrefix: "forgotten",
}

// Kind names the read model that the row is of.
func (r Row) Kind() string {
	if len(r.Key) == 0 {
		return "unknown"
	}
	if kind, known := kinds[r.Key[0]]; known {
		return kind
	}
	return fmt.Sprintf("%q", r.Key[:1])
}

// Text shows the value to a person.
func (r Row) Text() string {
	switch {
	case len(r.Key) == 0:
	case r.Key[0] == balancePrefix, r.Key[0] == milestonePrefix:
		if record, err := decodeBalance(r.Value); err == nil {
			return fmt.Sprintf("%+v", record)
		}
	case r.Key[0] == transactionPrefix:
		if t, err := decodeTransaction(r.Value); err == nil {
			return fmt.Sprintf("%+v", t)
		}
	case r.Key[0] == noticePrefix:
		if n, err := decodeNotice(r.Value); err == nil {
			return fmt.Sprintf("%+v", n)
		}
	case r.Key[0] == companyKey:
		var books journal.Totals
		if err := books.UnmarshalBinary(r.Value); err == nil {
			return books.String()
		}
	}
	for _, c := range r.Value {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("%x", r.Value)
		}
	}
	return string(r.Value)
}

// Account is whose row it is; empty: it is of all accounts together.
func (r Row) Account() string {
	if len(r.Key) == 0 {
		return ""
	}
	rest := r.Key[1:]
	switch r.Key[0] {
	case checkpointKey, companyKey, nodePrefix, edgeKey:
		return ""
	case deadlinePrefix:
		rest = rest[min(timeBytes, len(rest)):]
	case changedPrefix:
		rest = r.Value
	case queuePrefix:
		for range 2 { // kind and status
			_, rest, _ = bytes.Cut(rest, []byte{0})
		}
		rest = rest[min(timeBytes, len(rest)):]
	}
	name, _, _ := bytes.Cut(rest, []byte{0})
	return string(name)
}

// Revision is that of the event which the row is about; false if it is about none.
func (r Row) Revision() (int64, bool) {
	if len(r.Key) < 9 {
		return 0, false
	}
	switch r.Key[0] {
	case transactionPrefix, milestonePrefix, latePrefix, lotPrefix, forgottenPrefix:
		return int64(binary.BigEndian.Uint64(r.Key[len(r.Key)-8:])), true
	}
	return 0, false
}

// Rows yields all rows in the order of their keys, as they are when all are written
// (rows.go). A row is valid until the next.
func (i *Image) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		completed, err := i.views.completed(ctx, i.db, i.checkpoint)
		if err != nil && !Damaged(err) { // what is damaged is to be seen as it is
			yield(Row{}, err)
			return
		}
		for row, err := range i.rows(nil, nil) {
			if whole, lacked := completed[string(row.Key)]; lacked {
				row.Value = whole
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// rows yields what stands in the database.
func (i *Image) rows(lower, upper []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		it, err := i.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer func() { _ = it.Close() }()
		for ok := it.First(); ok; ok = it.Next() {
			value, err := it.ValueAndErr()
			if !yield(Row{it.Key(), value}, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(Row{}, err)
		}
	}
}

// RowsOf yields the rows of one account. Those of lists over all accounts are
// found by going through all of these lists.
func (i *Image) RowsOf(ctx context.Context, account string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for prefix := range kinds {
			lower, upper := key(prefix, account), key(prefix, account)
			upper[len(upper)-1]++
			switch prefix {
			case checkpointKey, companyKey, nodePrefix, edgeKey:
				continue
			case balancePrefix: // the name is the whole key
				lower = lower[:len(lower)-1]
				upper = append(append([]byte{}, lower...), 0)
			case deadlinePrefix, queuePrefix, changedPrefix:
				lower, upper = []byte{prefix}, []byte{prefix + 1}
			}
			for row, err := range i.rows(lower, upper) {
				if err == nil && row.Account() != account {
					continue
				}
				if err == nil {
					row.Value, err = i.whole(ctx, row.Key, row.Value)
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// Value reads the row of a key; false if there is none.
func (i *Image) Value(ctx context.Context, key []byte) ([]byte, bool, error) {
	value, err := lookup(i.db, key, func(value []byte) (*[]byte, error) {
		copied := append([]byte{}, value...)
		return &copied, nil
	})
	if err != nil || value == nil {
		return nil, false, err
	}
	whole, err := i.whole(ctx, key, *value)
	return whole, err == nil, err
}

// Newest is the revision of the last event of an account that the views have, as far as the
// log can be read; NoStream if they have none, or are another version's, whose rows nobody
// can read. It doesn't use the log's index of streams.
func (i *Image) Newest(ctx context.Context, account string) (int64, error) {
	if i.checkpoint.Format != format {
		return eventstore.NoStream, nil
	}
	record, err := lookup(i.db, balanceKey(account), decodeBalanceOf)
	if err != nil || record == nil {
		return eventstore.NoStream, err
	}
	newest := record.Revision
	if i.checkpoint.whole() {
		return newest, nil
	}
	for r, err := range i.views.opts.Store.ReadAll(ctx, i.checkpoint.RowsFrom, eventstore.Forwards, math.MaxInt) {
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) || r.Position > i.checkpoint.Position {
			break
		}
		if err != nil {
			return newest, fmt.Errorf("read the log for the row of account %s: %w", account, err)
		}
		if name, ours := eventstore.AccountOf(r.Stream); ours && name == account {
			newest = max(newest, r.Revision)
		}
	}
	return newest, nil
}

// whole gives an account's row with the events that it lacks, from the log; any other value
// as it is.
func (i *Image) whole(ctx context.Context, key, value []byte) ([]byte, error) {
	if i.checkpoint.whole() || !bytes.HasPrefix(key, []byte{balancePrefix}) {
		return value, nil
	}
	row, err := decodeBalance(value)
	if err != nil {
		return value, nil //nolint:nilerr // what is there is to be seen
	}
	if err := i.views.catchUp(ctx, string(key[1:]), &row, i.checkpoint.Position); err != nil {
		return nil, err
	}
	return appendBalance(nil, &row), nil
}

// Copy puts a copy of the current views into dir, which must not exist: hard
// links where the file system has them. OpenImage opens it. Error: ErrNoRoom if the disk
// has too little for what is in memory.
func (v *Views) Copy(dir string) error {
	g, leave, err := v.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := v.opts.FS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("copy read models: %w", err)
	}
	needed := memTables * v.opts.MemTableBytes
	if free, enough := v.free(g.dir, needed); !enough {
		return fmt.Errorf("copy read models: %w: %d bytes are free, %d are needed to write what is in memory", ErrNoRoom, free, needed)
	}
	to := &Views{opts: v.opts, dir: dir}
	// There is no WAL: what isn't flushed would not be in the copy. It needs room, or it
	// would be tried without end.
	err = errors.Join(g.db.Flush(), g.db.Checkpoint(to.generationDir(1)))
	if err == nil {
		err = to.writeCurrent(1)
	}
	if err != nil {
		return fmt.Errorf("copy read models to %s: %w", dir, err)
	}
	return nil
}
