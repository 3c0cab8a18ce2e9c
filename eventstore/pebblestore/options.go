package pebblestore

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/eventstore/disk"
)

// Options of a Store. The zero value is a good default.
type Options struct {
	FS     vfs.FS
	Logger *slog.Logger
	// Now is the clock of Recorded.Created.
	Now func() time.Time
	// CacheBytes is the size of the block cache.
	CacheBytes int64
	// MinFreeBytes is the room on the disk below which appends are refused with
	// ErrUnavailable. A WAL that meets a full disk is fatal to Pebble, so this
	// MUST stay far above what can be in flight: memtables, their flush and a
	// compaction.
	MinFreeBytes uint64
	// MaxQueue and MaxQueueBytes bound the appends that wait; more are refused
	// with ErrUnavailable. An append of more than MaxQueueBytes would never find room,
	// and is ErrInvalid.
	MaxQueue      int
	MaxQueueBytes int64
	// OnCommit, if set, is told of every group that became durable.
	OnCommit func(CommitStats)
	// OnFail, if set, is told once, when the store can take no more writes until it is
	// opened again: a write or sync of its log failed. It MUST NOT wait for the store.
	OnFail func(error)
	// ReadOnly opens a store, such as a checkpoint, that must not be written.
	ReadOnly bool
	// foldEvents and memTable are for tests, which have fewer events.
	foldEvents int
	memTable   uint64
}

// CommitStats describes one group commit.
type CommitStats struct {
	Appends, Events, Bytes int
	// Wait is from the group's preparation until it was durable.
	Wait time.Duration
}

// Defaults of Options.
const (
	defaultCacheBytes    = 64 << 20
	defaultMinFreeBytes  = 512 << 20
	defaultMaxQueue      = 16_384
	defaultMaxQueueBytes = 64 << 20

	memTableBytes = 32 << 20
	memTables     = 3
	// lBaseBytes is how large the level below L0 gets before it has one below it:
	// one level less is one write less of everything in it.
	lBaseBytes = 512 << 20
	// blockBytes is what a table reads, compresses and checks at once. Records are
	// mostly read in a row.
	blockBytes = 32 << 10
)

func (o *Options) defaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = defaultMinFreeBytes
	}
	if o.MaxQueue == 0 {
		o.MaxQueue = defaultMaxQueue
	}
	if o.MaxQueueBytes == 0 {
		o.MaxQueueBytes = defaultMaxQueueBytes
	}
	if o.foldEvents == 0 {
		o.foldEvents = foldEvents
	}
	if o.memTable == 0 {
		o.memTable = memTableBytes
	}
	if o.OnCommit == nil {
		o.OnCommit = func(CommitStats) {}
	}
	if o.OnFail == nil {
		o.OnFail = func(error) {}
	}
}

// pebble gives the options of the log's database and of the index's, which share a cache.
func (o *Options) pebble() (log, index *pebble.Options, free func()) {
	// Pebble takes what memtables have off the cache: without an allowance for them
	// nothing would be left, and every read would go to the files.
	cache := pebble.NewCache(o.CacheBytes + (memTables+1)*int64(o.memTable+indexMemTable))
	log = o.database(cache, o.memTable)
	index = o.database(cache, indexMemTable)
	index.DisableWAL = true
	return log, index, cache.Unref
}

func (o *Options) pebbleLogger() disk.Logger { return disk.Logger{To: o.Logger, Of: "the event log"} }

// database gives what both have in common.
func (o *Options) database(cache *pebble.Cache, memTable uint64) *pebble.Options {
	logger := o.pebbleLogger()
	opts := &pebble.Options{
		FS:                 disk.Folders{FS: o.FS, Logger: logger},
		Cache:              cache,
		ReadOnly:           o.ReadOnly,
		FormatMajorVersion: pebble.FormatNewest,
		// Large ones are flushed less often and leave less to compact; small ones
		// recycle the WAL's files sooner, which sync faster than new ones.
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: memTables,
		// A fold of the index is spread over all streams, so that each compaction out of
		// L0 rewrites the level below: it is worth waiting for more. Records never lie
		// over each other: they stay where they were flushed to.
		L0CompactionThreshold: 8,
		L0StopWritesThreshold: 32,
		LBaseMaxBytes:         lBaseBytes,
		// A failed write or sync of its log it gives to the committer.
		Logger:        logger,
		EventListener: logger.Damage(func() {}),
	}
	opts.Levels[0].BlockSize = blockBytes // the levels below take it over
	opts.EnsureDefaults()
	return opts
}
