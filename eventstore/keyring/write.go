package keyring

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// maxBatch bounds the keys of one sync, 1 MiB of records.
const maxBatch = 4096

// enqueue puts account into the batch that waits. mu is held.
func (k *FileKeys) enqueue(account string) (*batch, int) {
	if k.waiting == nil {
		k.waiting = &batch{index: make(map[string]int), done: make(chan struct{})}
	}
	b := k.waiting
	i, there := b.index[account]
	if !there {
		i = len(b.accounts)
		b.accounts = append(b.accounts, account)
		b.index[account] = i
	}
	if !k.flushing {
		k.flushing = true
		go k.flush()
	}
	return b, i
}

// flush writes batches until none waits.
func (k *FileKeys) flush() {
	for {
		k.io.Lock()
		k.mu.Lock()
		b := k.waiting
		k.waiting = nil
		if b == nil {
			k.flushing = false
			k.idle.Broadcast()
			k.mu.Unlock()
			k.io.Unlock()
			return
		}
		k.mu.Unlock()
		for from := 0; from < len(b.accounts) && b.err == nil; from += maxBatch {
			b.err = k.writeKeys(b, b.accounts[from:min(from+maxBatch, len(b.accounts))])
		}
		k.io.Unlock()
		close(b.done)
	}
}

// writeKeys makes the keys of some of a batch's accounts durable, then known.
// io is held, so accounts and slots can't change under it.
func (k *FileKeys) writeKeys(b *batch, accounts []string) error {
	k.mu.RLock()
	failed, first := k.writable(), k.slots
	places := make([]place, len(accounts))
	for i, account := range accounts {
		places[i] = k.accounts[account]
	}
	k.mu.RUnlock()
	if failed != nil {
		return failed
	}
	if uint64(first)+uint64(len(accounts)) > maxSlots {
		return fmt.Errorf("keyring is full: %d keys", first)
	}
	out := make([]byte, 0, len(accounts)*recordSize)
	slot := first
	for i, account := range accounts {
		if places[i].live { // a batch before this one, written since the caller looked
			key, err := k.read(account, places[i])
			if err != nil {
				return err
			}
			b.keys = append(b.keys, key)
			continue
		}
		key := Key{Generation: places[i].generation + 1}
		if _, err := io.ReadFull(k.random, key.Secret[:]); err != nil {
			return fmt.Errorf("make a key: %w", err)
		}
		places[i] = place{slot: slot, generation: key.Generation, live: true, first: first}
		r := record{status: statusLive, generation: key.Generation, first: first, secret: key.Secret, account: account}
		out = append(out, r.encode()...)
		b.keys = append(b.keys, key)
		slot++
	}
	if err := k.writeSynced(out, first); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slots = slot
	for i, account := range accounts {
		if places[i].slot >= first {
			// The name is a part of a request, which the map would keep whole.
			k.accounts[strings.Clone(account)] = places[i]
		}
	}
	return nil
}

// Destroy implements Keys. A power cut before it returns leaves the key whole
// or erased.
func (k *FileKeys) Destroy(ctx context.Context, account string) error {
	if err := k.bury(ctx, account); err != nil {
		return err
	}
	// io orders Destroy after the batch under way. A key that is still waiting
	// to be made is made after it, and is a new one.
	k.io.Lock()
	defer k.io.Unlock()
	k.mu.Lock()
	at, failed := k.accounts[account], k.writable()
	if failed != nil || at.generation == 0 {
		k.mu.Unlock()
		return failed
	}
	// One that has ended is written again: its end may be in memory only (scan.rewrite), and
	// a copy isn't written again when it is opened.
	at.live = false
	k.accounts[strings.Clone(account)] = at
	k.mu.Unlock()

	return k.writeSynced(at.erased(account), at.slot)
}

// bury records that a lost key has ended, so that the account's next one is of the next
// generation: the log will say that the first is gone.
func (k *FileKeys) bury(ctx context.Context, account string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.RLock()
	_, known := k.accounts[account]
	k.mu.RUnlock()
	if known {
		return nil
	}
	if lost, err := k.isLost(ctx, account); err != nil || !lost {
		return err
	}
	k.io.Lock()
	defer k.io.Unlock()
	k.mu.RLock()
	_, known = k.accounts[account]
	failed, slot := k.writable(), k.slots
	k.mu.RUnlock()
	if failed != nil || known {
		return failed
	}
	r := record{status: statusErased, generation: 1, first: slot, account: account}
	if err := k.writeSynced(r.encode(), slot); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slots++
	k.accounts[strings.Clone(account)] = place{slot: slot, generation: r.generation, first: slot}
	return nil
}

// writeSynced writes records and makes them durable. A batch that the disk had
// no room for is cut off again, and the next may fit; durably, or a power cut could mix
// the two. After any other failure nothing is written until the keyring is opened
// again: a failed sync may have dropped the pages, and a second one would then report a
// success that isn't. Keys that were durable before can still be read.
// Error: ErrUnavailable.
func (k *FileKeys) writeSynced(records []byte, slot uint32) error {
	if len(records) == 0 {
		return nil
	}
	at := int64(slot) * recordSize
	if _, err := k.f.WriteAt(records, at); err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		k.mu.RLock()
		appending := slot == k.slots
		k.mu.RUnlock()
		if appending && k.f.Truncate(at) == nil && k.f.Sync() == nil {
			return err
		}
		return k.fail(err)
	}
	if err := k.f.Sync(); err != nil {
		return k.fail(fmt.Errorf("%w: sync: %w", ErrUnavailable, err))
	}
	return nil
}

// fail is called once: io is held, and nothing is written after it.
func (k *FileKeys) fail(err error) error {
	k.mu.Lock()
	k.failed = err
	k.mu.Unlock()
	k.onFail(err)
	return err
}

// Healthy answers nil while keys can be made and destroyed, and otherwise why they never
// will be again. That the disk has no room for more passes, and isn't told here.
func (k *FileKeys) Healthy() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.failed
}
