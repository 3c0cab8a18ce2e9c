package main

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"

	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
)

// A keyring that was put back from a backup has the keys again of who was forgotten since:
// the log says that nobody can read their text, and anybody can. The read models list who
// was forgotten, so a start needs no walk through the log to find them.

// revivedKey is the live key of an account that was forgotten after it was used.
type revivedKey struct {
	name string
	// forgotten is the revision of the newest event that says so.
	forgotten int64
	ended     keyring.Ended
}

// generation of the live key.
func (k *revivedKey) generation() uint32 { return k.ended.Keys + 1 }

// endRevived destroys these keys again, in a keyring that is a file: the log has it that
// they are gone. It runs beside the engine, once the read models have what was in the log
// at the start.
func (s *services) endRevived(ctx context.Context) {
	keys, ok := s.log.keys.(*keyring.FileKeys)
	if !ok {
		return // those of a log that engines share are in it
	}
	found, err := s.revived(ctx, keys)
	for i := range found {
		err = errors.Join(err, s.endAgain(ctx, keys, &found[i]))
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Warn("the keyring can't be compared with who was forgotten: run verify", "error", err)
	}
}

// revived finds them.
func (s *services) revived(ctx context.Context, keys *keyring.FileKeys) (found []revivedKey, err error) {
	head, err := s.log.store.Head(ctx)
	if err == nil {
		err = s.views.WaitThrough(ctx, head)
	}
	if err != nil {
		return nil, err
	}
	live := map[string]int64{}
	err = s.views.EachForgotten(ctx, func(name string, revision int64) {
		if keys.EndedOf(name).Live {
			live[name] = revision // the newest is the last
		}
	})
	for _, name := range slices.Sorted(maps.Keys(live)) {
		if err != nil {
			break // whoever was found first is ended nevertheless
		}
		var need uint32
		need, err = generationBefore(ctx, s.log.store, name, live[name])
		if ended := keys.EndedOf(name); err == nil && outlives(ended, need) {
			found = append(found, revivedKey{name, live[name], ended})
		}
	}
	return found, err
}

// outlives says that a live key is one of those that an account had used, up to this
// generation, when it was forgotten.
func outlives(ended keyring.Ended, used uint32) bool { return ended.Live && ended.Keys < used }

// endAgain destroys one of them. Where somebody has sealed text with it since, that would
// go too, for ever: then a person has to decide.
func (s *services) endAgain(ctx context.Context, keys *keyring.FileKeys, k *revivedKey) error {
	used, err := sealedSince(ctx, s.log.store, k)
	if err != nil {
		return err
	}
	if used {
		s.logger.Warn("the keyring is older than the log: the key of a forgotten account is back, and newer text is sealed with it. Forget the account again, which erases that too",
			"account", k.name, "forgotten", k.forgotten)
		return nil
	}
	if keys.EndedOf(k.name) != k.ended {
		return nil // forgotten again meanwhile
	}
	if err := s.sealer.Destroy(ctx, k.name); err != nil {
		return err
	}
	s.logger.Warn("the keyring is older than the log: the key of a forgotten account was back, and is destroyed again",
		"account", k.name, "forgotten", k.forgotten)
	return nil
}

// sealedSince tells that an event after the account was forgotten has text under the key.
func sealedSince(ctx context.Context, store eventstore.Store, k *revivedKey) (bool, error) {
	for r, err := range store.ReadStream(ctx, eventstore.AccountStream(k.name), k.forgotten+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return false, err // what can't be read may be such text
		}
		if keyring.GenerationIn(&r) == k.generation() {
			return true, nil
		}
	}
	return false, nil
}
