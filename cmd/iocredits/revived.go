package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
)

// A keyring that was put back from a backup has the keys again of who was forgotten since:
// the log says that nobody can read their text, and anybody can. The read models list who
// was forgotten, so a start needs no walk through the log to find them. It only tells of
// them: what a destroyed key had sealed is gone for ever, so no engine destroys one that
// nobody asked for.

// forgets are the events of an account that say that its key was destroyed.
type forgets struct {
	times uint32
	// newest is the revision of the last one, and at its position where the log was read.
	newest int64
	at     eventstore.Position
}

// tellRevived warns of the accounts whose key is back, in a keyring that is a file, once
// the read models have what was in the log at the start.
func (s *services) tellRevived(ctx context.Context) {
	keys, ok := s.log.keys.(*keyring.FileKeys)
	if !ok {
		return // those of a log that engines share are in it
	}
	found, err := s.revived(ctx, keys)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		s.logger.Warn("the keyring is older than the log: the key of a forgotten account is back, and opens its text. Forget the account again, which erases what was sealed since then too",
			"account", name, "forgotten", found[name])
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Warn("the keyring can't be compared with who was forgotten: run verify", "error", err)
	}
}

// revived finds those accounts, each with the revision of its newest event.
func (s *services) revived(ctx context.Context, keys *keyring.FileKeys) (found map[string]int64, err error) {
	head, err := s.log.store.Head(ctx)
	if err == nil {
		err = s.views.WaitThrough(ctx, head)
	}
	if err != nil {
		return nil, err
	}
	forgotten := map[string]forgets{}
	err = s.views.EachForgotten(ctx, func(name string, revision int64) { // the newest is the last
		forgotten[name] = forgets{times: forgotten[name].times + 1, newest: revision}
	})
	found = map[string]int64{}
	for name, f := range forgotten {
		if err != nil {
			break
		}
		var back bool
		if back, err = isBack(ctx, s.log.store, name, keys.EndedOf(name), f); back {
			found[name] = f.newest
		}
	}
	return found, err
}

// isBack says that an account's live key is one that it had used when it was forgotten.
// Fewer keys have ended than there are events that say so only if one is back, or if the
// account was forgotten before it had a key: then it hadn't used the one that it has.
func isBack(ctx context.Context, store eventstore.Store, name string, ended keyring.Ended, f forgets) (bool, error) {
	if !ended.Live || ended.Keys >= f.times {
		return false, nil
	}
	used, err := generationBefore(ctx, store, name, f.newest)
	return err == nil && ended.Keys < used, err
}

// generationBefore is the newest key that an account used before a revision; 0: none.
func generationBefore(ctx context.Context, store eventstore.Store, name string, before int64) (newest uint32, err error) {
	for r, err := range store.ReadStream(ctx, eventstore.AccountStream(name), 0, eventstore.Forwards, int(before)) {
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) {
			return newest, nil // a finding of its own, and hides what is behind it
		}
		if err != nil {
			return newest, err
		}
		newest = max(newest, keyring.GenerationIn(&r))
		if rests, _ := keyring.RestsOnKey(&r); rests {
			newest = max(newest, 1)
		}
	}
	return newest, nil
}
