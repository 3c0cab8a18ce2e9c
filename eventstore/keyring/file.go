package keyring

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"iocredits/eventstore/disk"
)

const (
	fileName = "keys"
	lockName = "LOCK"
	// folderName is what a data directory calls a keyring's folder.
	folderName = "keyring"
)

// file is what FileKeys needs of an *os.File; a test cuts its power.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Options of Open and NewLogKeys.
type Options struct {
	// Random makes the keys; nil is the system's. Only a simulation sets it.
	Random io.Reader
	// OnFail, if set, is told once, when a keyring in a file can take no more writes until
	// it is opened again: a write or sync failed. It MUST NOT wait for the keyring.
	OnFail func(error)
	// Lost, if set, tells of an account without a key that it must have had one: it is asked
	// before a keyring in a file makes an account's first key. A second first one would
	// take the place of the right one, once that is put back.
	Lost func(ctx context.Context, account string) (bool, error)
}

// FileKeys keeps keys in one file of a directory of its own. It is not on
// Pebble: an LSM keeps what was deleted in its WAL and tables for as long as it
// likes, and when they go their blocks are only unlinked. Here a key stands in
// one place for ever and Destroy writes zeros over it.
//
// What Destroy guarantees: the key is gone from the file, and it stays gone
// over a crash. What it can't: copies below or beside the file (a file system
// that copies on write, the spare blocks of an SSD, snapshots, backups) and this
// process's memory. So the disk SHOULD be encrypted, and backups of the keyring
// SHOULD be kept apart from those of the log and no longer than erasure may take.
//
// A copy of the file taken while it is in use is a good backup: only its last
// records can be missing. An older one brings destroyed keys back, so erasures
// made since MUST be repeated on it.
//
// Keys are made by group commit: callers that come while a sync runs share the next.
type FileKeys struct {
	random io.Reader
	onFail func(error)
	lost   func(context.Context, string) (bool, error)
	f      file
	lock   io.Closer

	// io orders writes: one batch or one erasure at a time, each synced before
	// the next. Taken before mu.
	io sync.Mutex

	mu       sync.RWMutex
	accounts map[string]place
	slots    uint32 // all below are synced
	waiting  *batch
	flushing bool
	idle     sync.Cond // of mu: not flushing
	failed   error     // sticky, see writeSynced
	closed   bool

	// beside an engine that may be writing, see OpenReadOnly.
	beside bool
}

// batch is the accounts that get their keys with one sync.
type batch struct {
	accounts []string
	index    map[string]int
	keys     []Key
	done     chan struct{}
	err      error
}

var _ Keys = (*FileKeys)(nil)

// Open opens the keyring in dir, which it makes (mode 0700) if need be, and
// holds it alone until Close.
func Open(dir string, options Options) (*FileKeys, error) {
	dir, err := filepath.Abs(dir) // the lock goes by the name
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	if err := disk.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("make keyring: %w", err)
	}
	lock, err := disk.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("hold keyring %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open keyring: %w", err), lock.Close())
	}
	keys, err := openFile(f, options)
	if err == nil {
		err = disk.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open keyring %s: %w", dir, err), f.Close(), lock.Close())
	}
	keys.lock = lock
	return keys, nil
}

func openFile(f file, options Options) (*FileKeys, error) {
	found, err := scanFile(f)
	if err != nil {
		return nil, err
	}
	if err := found.repair(f); err != nil {
		return nil, err
	}
	// What an earlier process wrote and didn't sync can be read here, and must not be lost
	// once it was used.
	if err := found.rewrite(f); err != nil {
		return nil, err
	}
	k := &FileKeys{random: options.Random, onFail: options.OnFail, lost: options.Lost, f: f, accounts: found.accounts, slots: found.slots}
	if k.random == nil {
		k.random = rand.Reader
	}
	if k.onFail == nil {
		k.onFail = func(error) {}
	}
	k.idle.L = &k.mu
	return k, nil
}

// Key implements Keys. When ctx ends first the key may be made nevertheless.
// Error: ErrKeyLost.
func (k *FileKeys) Key(ctx context.Context, account string) (Key, error) {
	if len(account) == 0 || len(account) > maxAccount {
		return Key{}, fmt.Errorf("%w: %d bytes, 1 to %d are allowed", ErrInvalidAccount, len(account), maxAccount)
	}
	key, status, err := k.Find(ctx, account)
	if err != nil || status == Live {
		return key, err
	}
	if status == None {
		if lost, err := k.isLost(ctx, account); err != nil || lost {
			return Key{}, cmp.Or(err, ErrKeyLost)
		}
	}
	key, b, i, err := k.order(account)
	if err != nil || b == nil {
		return key, err
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return Key{}, ctx.Err()
	}
	if b.err != nil {
		return Key{}, b.err
	}
	return b.keys[i], nil
}

func (k *FileKeys) isLost(ctx context.Context, account string) (bool, error) {
	if k.lost == nil {
		return false, nil
	}
	return k.lost(ctx, account)
}

// order gives the batch that makes the account's key, and the key's index there; or the key
// itself, if it was made since Find missed it.
func (k *FileKeys) order(account string) (key Key, b *batch, i int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.writable(); err != nil {
		return Key{}, nil, 0, err
	}
	if at := k.accounts[account]; at.live {
		key, err := k.read(account, at)
		return key, nil, 0, err
	}
	b, i = k.enqueue(account)
	return Key{}, b, i, nil
}

// Find implements Keys.
func (k *FileKeys) Find(ctx context.Context, account string) (Key, Status, error) {
	if err := ctx.Err(); err != nil {
		return Key{}, None, err
	}
	// The lock is held over the read: Destroy takes the place out of accounts
	// before it writes over it.
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return Key{}, None, ErrClosed
	}
	at, known := k.accounts[account]
	if !known {
		return Key{}, None, nil
	}
	if !at.live {
		return Key{Generation: at.generation}, Destroyed, nil
	}
	key, err := k.read(account, at)
	if err != nil && k.beside && k.endedSince(account, at) {
		return Key{Generation: at.generation}, Destroyed, nil
	}
	return key, Live, err
}

func (k *FileKeys) read(account string, at place) (Key, error) {
	r, err := k.record(account, at)
	if err == nil && r.status != statusLive {
		err = errors.New("another record is in its place")
	}
	if err != nil {
		return Key{}, fmt.Errorf("damaged keyring: slot %d: %w", at.slot, err)
	}
	return Key{Generation: r.generation, Secret: r.secret}, nil
}

// record reads what stands in a place, live or not.
func (k *FileKeys) record(account string, at place) (record, error) {
	var b [recordSize]byte
	if _, err := k.f.ReadAt(b[:], int64(at.slot)*recordSize); err != nil {
		return record{}, fmt.Errorf("read key of account %q: %w", account, err)
	}
	r, err := decodeRecord(b[:])
	if err == nil && (r.account != account || r.generation != at.generation) {
		err = errors.New("another record is in its place")
	}
	return r, err
}

// Accounts lists, in order, every account that has or had a key.
func (k *FileKeys) Accounts() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.Sorted(maps.Keys(k.accounts))
}

// writable answers why nothing can be written, if so. mu is held.
func (k *FileKeys) writable() error {
	if k.closed {
		return ErrClosed
	}
	return k.failed
}

// Close waits for writes under way. Keys that still wait to be made are refused.
func (k *FileKeys) Close() error {
	k.io.Lock()
	k.mu.Lock()
	twice := k.closed
	k.closed = true
	k.io.Unlock()
	for k.flushing {
		k.idle.Wait()
	}
	k.mu.Unlock()
	if twice {
		return nil
	}
	err := k.f.Close()
	if k.lock != nil {
		err = errors.Join(err, k.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("close keyring: %w", err)
	}
	return nil
}
