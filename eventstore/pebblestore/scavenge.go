package pebblestore

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/eventstore"
)

var _ eventstore.Scavenger = (*Store)(nil)

// Scavenge implements eventstore.Scavenger. The work is in three steps, each of
// which the next relies on:
//
//	erase   what is gone is overwritten, under its own key, with what is left
//	rotate  until none of the logs of before is there, in use or kept for reuse
//	compact until none of the tables of before is there that had the old value
//
// Interrupted, it is whole after the next one.
func (s *Store) Scavenge(ctx context.Context, gone func(*eventstore.Recorded) (bool, error)) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	if s.opts.ReadOnly {
		return 0, fmt.Errorf("%w: opened to read only", eventstore.ErrUnavailable)
	}
	s.scavenging.Lock()
	defer s.scavenging.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	erased, err := s.erase(ctx, gone)
	if erased > 0 {
		s.tail.forget()
	}
	if err == nil {
		err = s.shred(ctx)
	}
	if err != nil {
		return erased, fmt.Errorf("scavenge event log: %w", err)
	}
	return erased, nil
}

// eraseBytes is how much is overwritten with one sync.
const eraseBytes = 1 << 20

func (s *Store) erase(ctx context.Context, gone func(*eventstore.Recorded) (bool, error)) (erased int, err error) {
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }()
	var refused error
	write := func() error {
		if err := s.diskFull(); err != nil || batch.Empty() {
			return err
		}
		count := int(batch.Count())
		if err := batch.Commit(pebble.Sync); err != nil {
			return err
		}
		erased += count
		batch.Reset()
		return nil
	}
	err = s.scan(ctx, 1, s.durable(), eventstore.Forwards, func(r eventstore.Recorded, f flags) bool {
		if f.erased() {
			return true
		}
		var is bool
		switch is, refused = gone(&r); {
		case refused != nil || !is:
			return refused == nil
		case eventstore.Kept(r.Stream):
			refused = fmt.Errorf("%w: stream %q is kept for ever", eventstore.ErrInvalid, r.Stream)
			return false
		}
		refused = batch.Set(eventKey(nil, r.Position), erasedRecord(&r, f), nil)
		if refused == nil && batch.Len() >= eraseBytes {
			refused = write()
		}
		return refused == nil
	})
	if err == nil {
		err = refused
	}
	if err == nil {
		err = write()
	}
	return erased, err
}

// shred takes the bytes of what was overwritten off the files.
func (s *Store) shred(ctx context.Context) error {
	s.logs.reuse(false)
	defer s.logs.reuse(true)
	if err := s.logs.removeLeft(); err != nil {
		return err
	}
	logs, err := s.files("*.log")
	if err != nil {
		return err
	}
	// A flush begins a new log. The one of before is kept for reuse, in a queue
	// that each new log takes one from.
	err = s.until(ctx, func() (bool, error) {
		if err := s.db.Flush(); err != nil {
			return false, err
		}
		left, err := s.files("*.log")
		return !overlap(logs, left), err
	})
	if err != nil {
		return err
	}
	tables, err := s.files("*.sst")
	if err != nil {
		return err
	}
	if err := s.db.Compact(ctx, []byte{eventPrefix}, []byte{eventPrefix + 1}, true); err != nil {
		return err
	}
	levels, err := s.db.SSTables()
	if err != nil {
		return err
	}
	for _, level := range levels {
		for i := range level {
			delete(tables, fmt.Sprintf("%06d.sst", level[i].FileNum)) // it has newest values only
		}
	}
	// What reads began before may still hold the others.
	return s.until(ctx, func() (bool, error) {
		left, err := s.files("*.sst")
		return !overlap(tables, left), err
	})
}

// files are the names in the store's directory that fit a pattern.
func (s *Store) files(pattern string) (map[string]struct{}, error) {
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return nil, err
	}
	found := make(map[string]struct{})
	for _, name := range names {
		if fits, err := filepath.Match(pattern, name); fits && err == nil {
			found[name] = struct{}{}
		}
	}
	return found, nil
}

func overlap(a, b map[string]struct{}) bool {
	for name := range a {
		if _, both := b[name]; both {
			return true
		}
	}
	return false
}

// until asks now and then whether something is done: Pebble removes files in the
// background and tells nobody.
func (s *Store) until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if is, err := done(); is || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
