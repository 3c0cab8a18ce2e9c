package main

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/projections/audit"
)

// A keyring may lack keys of some accounts only: it is an older one, or has lost some. An
// engine that made such an account a new first key would refuse the repeat of a charge as
// another request, and what it sealed would be lost once the right keyring is back.

// lostKeys finds those accounts before they get a key. It is asked once for each account
// without one.
type lostKeys struct {
	store  eventstore.Store
	keys   *keyring.FileKeys
	logger *slog.Logger
	told   sync.Map
}

// isLost tells whether an account that has no key is one of them, and logs that once.
func (l *lostKeys) isLost(ctx context.Context, name string) (bool, error) {
	rests, err := restsOnKey(ctx, l.store, name)
	if err != nil || !rests {
		return false, err
	}
	// A key is there before the first event under it, but not before the caller looked.
	if _, status, err := l.keys.Find(ctx, name); err != nil || status != keyring.None {
		return false, err
	}
	if _, told := l.told.LoadOrStore(strings.Clone(name), true); !told {
		l.logger.Error("the keyring lacks the key of an account: its requests are refused as unavailable. Put the right keyring back, or, if it is lost, forget the account, which gives up its text",
			"account", name)
	}
	return true, nil
}

// restsOnKey tells that the newest event of an account that has to do with its key rests on
// the key, and doesn't say that it was destroyed.
func restsOnKey(ctx context.Context, store eventstore.Store, name string) (bool, error) {
	for r, err := range store.ReadStream(ctx, eventstore.AccountStream(name), eventstore.End, eventstore.Backwards, math.MaxInt) {
		if err != nil {
			return false, err
		}
		if r.Type == (&account.Forgotten{}).EventName() {
			return false, nil
		}
		if rests, err := keyring.RestsOnKey(&r); err != nil || rests {
			return rests, err
		}
	}
	return false, nil
}

// seeKeyless takes the first event under a key of each account that had none when the
// keyring was opened.
func (w *keyWatch) seeKeyless(r *eventstore.Recorded) {
	name, ours := eventstore.AccountOf(r.Stream)
	if !ours || w.keys == nil || w.keys.EndedOf(name) != (keyring.Ended{}) {
		return
	}
	if r.Type == (&account.Forgotten{}).EventName() {
		delete(w.keyless, name)
		return
	}
	if _, seen := w.keyless[name]; seen {
		return
	}
	if rests, err := keyring.RestsOnKey(r); err == nil && rests { // damage is a finding of its own
		w.keyless[strings.Clone(name)] = r.Position
	}
}

// findKeyless reports those that have none now either.
func (w *keyWatch) findKeyless(keys *keyring.FileKeys, find func(audit.Finding)) {
	for _, name := range slices.Sorted(maps.Keys(w.keyless)) {
		if keys.EndedOf(name) == (keyring.Ended{}) {
			find(audit.Finding{
				Account: name, Revision: -1, Position: w.keyless[name],
				Expected: "a key of the account", Found: "none: the keyring is not the one of this log, or an older one; its text can't be read, and its requests are refused",
			})
		}
	}
}
