package projections

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/eventstore/disk"
)

// format names what the views write. MUST change with any change of a key or a
// value: views of another format are built again.
const format = "21"

// checkpoint is how far a generation is. It is in the same batch as the data.
type checkpoint struct {
	Format   string              `json:"format"`
	Position eventstore.Position `json:"position"`
	// Event at Position: a log that has another one there is another log.
	Event uuid.UUID `json:"event"`
	// Kept is the newest event up to there of a stream that the views follow, which is
	// kept for ever. Event may be of another, a lease's, and be scavenged: then Kept
	// stands for the log.
	Kept keptEvent `json:"kept,omitzero"`
	// RowsFrom is the position from which on rows of accounts may lack events (rows.go);
	// 0: none does.
	RowsFrom eventstore.Position `json:"rows_from,omitzero"`
}

type keptEvent struct {
	Position eventstore.Position `json:"position"`
	Event    uuid.UUID           `json:"event"`
}

// behind is the checkpoint after batches that were decoded.
func (c checkpoint) behind(ready []decoded) checkpoint {
	last := ready[len(ready)-1].last
	next := checkpoint{Format: format, Position: last.Position, Event: last.ID, Kept: c.Kept, RowsFrom: c.RowsFrom}
	for i := len(ready) - 1; i >= 0; i-- {
		if n := len(ready[i].facts); n > 0 {
			f := &ready[i].facts[n-1]
			next.Kept = keptEvent{f.Position, f.ID}
			break
		}
	}
	return next
}

// generation is one database with all views. It has no WAL: what a crash takes
// is applied again from the log, and a flush keeps batches whole and in order.
type generation struct {
	number int
	dir    string
	db     *pebble.DB
	free   func()
	// room says whether the disk has any for tables.
	room    func() bool
	writing *disk.Writing

	// wholeFrom: before the views have this, nobody will ever read the generation, and a
	// crash leaves nothing of it.
	wholeFrom eventstore.Position
	// rowSpan is the constant of that name, or less in a test.
	rowSpan int

	// following is held by whoever follows the log into this. The fields from here to writer
	// are theirs.
	following  sync.Mutex
	checkpoint checkpoint
	accounts   recentAccounts
	// company has the company's books once they were read.
	company *journal.Totals
	writer  *writer
	// batch belongs to whoever writes a change: one at a time.
	batch *pebble.Batch

	shown shownViews
	// names knows which names were certainly not claimed.
	names *nameFilter
	// visible is held from the commit of a batch until its position is published,
	// and by a swap, after which there is no commit. Readers see a batch as soon
	// as it is committed: a swap to views that lack it would take it from them.
	visible sync.Mutex

	// users are those who read it; leave ends a use.
	users   sync.WaitGroup
	leave   func()
	retired context.Context
	retire  context.CancelFunc
}

// unread says that nobody will ever read the generation as it is.
func (g *generation) unread() bool { return g.checkpoint.Position < g.wholeFrom }

func (g *generation) replaced() bool { return g.retired.Err() != nil }

// close stops whoever follows, waits for reads under way and writes what is in memory, so
// that little is applied again. To a disk that has no room, or takes nothing for another
// reason, it writes nothing, as if there had been a crash: Pebble would try again for ever.
func (g *generation) close() error {
	g.retire()
	g.users.Wait()
	var err error
	if g.room() && !g.writing.Failing() {
		if g.writer != nil {
			err = g.writer.flushUnwritten()
		}
		err = errors.Join(err, g.writing.Flush(g.db))
	}
	return errors.Join(err, g.drop())
}

const currentFile = "CURRENT"

// openCurrent opens the generation that CURRENT names, or makes an empty one if
// there is none that fits the log. Other generations are leftovers of a rebuild
// that a crash cut short.
func (v *Views) openCurrent(ctx context.Context) (*generation, error) {
	disk := v.opts.FS
	if err := errors.Join(disk.MkdirAll(v.dir, 0o755), syncDir(disk, disk.PathDir(v.dir))); err != nil {
		return nil, err
	}
	number, err := v.readCurrent()
	if Damaged(err) {
		v.opts.Logger.Warn("the read models are built again from the log", "why", err)
		number, err = 0, nil
	}
	if err != nil {
		return nil, err
	}
	if err := v.removeOthers(number); err != nil {
		return nil, err
	}
	if number > 0 {
		g, why, err := v.openFit(ctx, number)
		if err != nil || g != nil {
			return g, err
		}
		v.opts.Logger.Warn("the read models are built again from the log", "why", why)
	}
	g, err := v.emptyGeneration(number+1, serving)
	if err != nil {
		return nil, err
	}
	err = v.writeCurrent(g.number)
	if err == nil {
		err = v.removeOthers(g.number)
	}
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// openFit opens a generation if it can be followed on; otherwise it says why not.
func (v *Views) openFit(ctx context.Context, number int) (g *generation, why string, err error) {
	purpose := serving
	if v.opts.Outgoing {
		purpose = outgoing
	}
	g, err = v.openGeneration(number, purpose)
	switch {
	case Damaged(err), isNotExist(err):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	}
	why, err = v.unfit(ctx, g.checkpoint)
	if why == "" && err == nil && purpose == serving {
		if err = v.complete(ctx, g); Damaged(err) {
			why, err = err.Error(), nil
		}
	}
	if why == "" && err == nil {
		return g, "", nil
	}
	return nil, why, errors.Join(err, g.close())
}

// ErrLogLost: the read models have had events that the log has not. They follow what
// is durable only, so the log has lost what was acknowledged, or is another one.
var ErrLogLost = errors.New("the log is not the one that the read models followed")

// unfit says why a checkpoint can't be followed on, or nothing if it can. Error:
// ErrLogLost, whatever the format: the read models may be all that is left of events.
func (v *Views) unfit(ctx context.Context, c checkpoint) (why string, err error) {
	if c.Position != eventstore.BeforeFirst {
		why, err = v.compare(ctx, c)
	}
	if err == nil && c.Format != format {
		why = fmt.Sprintf("their format is %q, this engine's %q", c.Format, format)
	}
	return why, err
}

// compare looks for the event of a checkpoint in the log. It says why, if nothing
// there tells whether this is the same log.
func (v *Views) compare(ctx context.Context, c checkpoint) (why string, err error) {
	head, err := v.opts.Store.Head(ctx)
	if err != nil {
		return "", err
	}
	other := fmt.Errorf("%w: it ends at position %d and has no event %s at position %d. Find the log that has it; "+
		"if this one is to stand, as after an older backup was put back, move %s away first", ErrLogLost, head, c.Event, c.Position, v.dir)
	if head < c.Position {
		return "", other
	}
	for r, err := range v.opts.Store.ReadAll(ctx, c.Position, eventstore.Forwards, 1) {
		switch {
		case err != nil:
			return "", err
		case r.Position == c.Position && r.ID == c.Event:
			return "", nil
		case r.Position == c.Position:
			return "", other
		case c.Kept.Position != eventstore.BeforeFirst:
			if whole, err := v.scavenged(ctx, c); whole || err != nil {
				return "", err
			}
			return "", other
		}
	}
	return fmt.Sprintf("the log no longer has event %s at position %d", c.Event, c.Position), nil
}

// scavenged says that the log differs from the one of the checkpoint only by what
// a scavenge took: the newest kept event is there, and none after it up to the
// checkpoint. MUST: there are later events, none at the checkpoint, and one kept.
func (v *Views) scavenged(ctx context.Context, c checkpoint) (bool, error) {
	found := false
	for r, err := range v.opts.Store.ReadAll(ctx, c.Kept.Position, eventstore.Forwards, math.MaxInt) {
		switch {
		case err != nil:
			return false, err
		case r.Position > c.Position:
			return found, nil
		case r.Position == c.Kept.Position && r.ID == c.Kept.Event:
			found = true
		case ours(r.Stream):
			return false, nil
		}
	}
	return false, nil
}

func (v *Views) generationDir(number int) string {
	return v.opts.FS.PathJoin(v.dir, fmt.Sprintf("%06d", number))
}

// emptyGeneration makes a new one; what a failed rebuild left there goes.
func (v *Views) emptyGeneration(number int, purpose use) (*generation, error) {
	if err := v.opts.FS.RemoveAll(v.generationDir(number)); err != nil {
		return nil, err
	}
	return v.openGeneration(number, purpose)
}

// use is what a generation is opened for.
type use int

const (
	// serving: it is followed, and read.
	serving use = iota
	// building: a rebuild reads little of what it writes.
	building
	// outgoing: a rebuild is to replace it, and asks it for its place in the log alone.
	outgoing
)

// l0Compaction is how deep L0 may get before it is compacted. While a generation is
// built, each compaction that is put off has more to compact at once. What is left is
// compacted by who opens it next; until then a page of a history has up to twice as many
// tables to look into.
func (u use) l0Compaction() int {
	if u == building {
		return 24
	}
	return 12
}

// memTables is how many memtables there may be before writes wait.
const memTables = 3

// lBaseBytes is how large the level below L0 gets before it has one below it.
// Nearly every key there is rewritten when L0 is compacted, and again on its way
// down: a level less is a write less.
const lBaseBytes = 512 << 20

// blockBytes is what a table reads, compresses and checks at once. Most reads are of
// what stands in a row: a history, or all of a table for a compaction.
const blockBytes = 32 << 10

func (v *Views) openGeneration(number int, purpose use) (*generation, error) {
	// Pebble takes what memtables have off the cache: without an allowance for them
	// nothing would be left, and every read would go to the files.
	cache := pebble.NewCache(v.opts.CacheBytes + (memTables+1)*int64(v.opts.MemTableBytes))
	opts := &pebble.Options{
		FS: disk.Folders{FS: v.opts.FS, Logger: v.opts.pebbleLogger()}, Cache: cache, DisableWAL: true,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                v.opts.MemTableBytes,
		MemTableStopWritesThreshold: memTables,
		// Names and balances are spread over all keys, so that each compaction out of
		// L0 rewrites the level below: it is worth waiting for more.
		L0CompactionThreshold: purpose.l0Compaction(),
		L0StopWritesThreshold: 4 * purpose.l0Compaction(),
		// It would be work for nothing.
		DisableAutomaticCompactions: purpose == outgoing,
		LBaseMaxBytes:               lBaseBytes,
		Logger:                      v.opts.pebbleLogger(),
		EventListener:               v.damageOf(number),
	}
	writing := disk.HearWrites(opts.EventListener)
	// Nearly every claim of a name asks for one that isn't there.
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].BlockSize = blockBytes
	}
	opts.EnsureDefaults()
	g := &generation{
		number: number, dir: v.generationDir(number), free: cache.Unref, checkpoint: checkpoint{Format: format},
		names: newNameFilter(), accounts: recentAccounts{limit: maxRecent},
		shown: shownViews{limit: maxRecent}, rowSpan: rowSpan, writing: writing,
	}
	g.leave = g.users.Done
	g.room = func() bool {
		_, enough := v.free(g.dir, v.opts.MinFreeBytes)
		return enough
	}
	db, err := pebble.Open(g.dir, opts)
	if err != nil {
		cache.Unref()
		return nil, err
	}
	g.db = db
	g.shown.moment = g.now()
	g.retired, g.retire = context.WithCancel(context.Background())
	stored, err := readCheckpoint(db)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	if stored.Format != "" {
		g.checkpoint = stored
	}
	if purpose == outgoing {
		return g, nil
	}
	g.users.Add(1)
	err = g.names.load(g.retired, db, func(err error) {
		if err != nil {
			v.opts.Logger.Warn("names are looked up on the disk until the next start", "error", err)
		}
		g.users.Done()
	})
	if err != nil {
		g.users.Done()
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// readCheckpoint reads how far views are; the zero value if they are empty. Error: errDamaged
// if there are rows all the same. Whoever went on from there would put all events into them
// once more.
func readCheckpoint(db pebble.Reader) (checkpoint, error) {
	c, err := lookup(db, []byte{checkpointKey}, func(value []byte) (c checkpoint, err error) {
		return c, json.Unmarshal(value, &c)
	})
	if err != nil || c.Position != eventstore.BeforeFirst {
		return c, err
	}
	it, err := db.NewIter(nil)
	if err != nil {
		return c, err
	}
	if it.First() {
		err = fmt.Errorf("%w: there are rows, and no checkpoint says of which events", errDamaged)
	}
	return c, errors.Join(err, it.Close())
}

// lookup reads and decodes one value; the zero value where there is none.
func lookup[T any](db pebble.Reader, key []byte, decode func([]byte) (T, error)) (result T, err error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return result, nil
	}
	if err != nil {
		return result, err
	}
	defer func() { _ = closer.Close() }()
	result, err = decode(value)
	if err != nil {
		err = fmt.Errorf("%w at %q: %w", errDamaged, key, err)
	}
	return result, err
}

func (v *Views) readCurrent() (int, error) {
	f, err := v.opts.FS.Open(v.opts.FS.PathJoin(v.dir, currentFile))
	if isNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || number < 1 {
		return 0, fmt.Errorf("%w: %s names no generation: %q", errDamaged, currentFile, text)
	}
	return number, nil
}

// writeCurrent replaces CURRENT as a whole: a crash leaves the old or the new one.
func (v *Views) writeCurrent(number int) error {
	disk := v.opts.FS
	name := disk.PathJoin(v.dir, currentFile)
	f, err := disk.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d\n", number)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := disk.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(disk, v.dir)
}

// syncDir makes what was made or renamed in a folder last.
func syncDir(disk vfs.FS, name string) error {
	dir, err := disk.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// removeOthers deletes all generations but one.
func (v *Views) removeOthers(keep int) error {
	names, err := v.opts.FS.List(v.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		number, err := strconv.Atoi(name)
		if err != nil || number == keep {
			continue
		}
		if err := v.opts.FS.RemoveAll(v.opts.FS.PathJoin(v.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func (o *Options) pebbleLogger() disk.Logger { return disk.Logger{To: o.Logger, Of: "read models"} }
