package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"math"
	"slices"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/projections/audit"
)

// To forget destroys the key, then leaves the event. A crash between the two leaves
// text that is gone and nothing that says why, and engines that share the log go on
// with the key that they have in memory. Doing it again mends it; here is found out
// that somebody has to.

// unsaid finds the accounts whose key was destroyed without an event that says so, of
// those that had one destroyed.
func unsaid(ctx context.Context, store eventstore.Store, ended map[string]keyring.Ended) (accounts []string, err error) {
	for _, name := range slices.SortedFunc(maps.Keys(ended), cmp.Compare) {
		said, err := saysSo(ctx, store, name, ended[name])
		if err != nil {
			return accounts, err
		}
		if !said {
			accounts = append(accounts, name)
		}
	}
	return accounts, nil
}

// saysSo tells whether events account for the keys that ended. One may stand for
// several: whoever repeats what a crash cut short, after the account got another key,
// destroys that too. So of fewer events than keys the newest must say it of the last.
func saysSo(ctx context.Context, store eventstore.Store, name string, ended keyring.Ended) (bool, error) {
	said, rests, used := uint32(0), false, false
	for r, err := range store.ReadStream(ctx, eventstore.AccountStream(name), eventstore.End, eventstore.Backwards, math.MaxInt) {
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) {
			return true, nil // damage is a finding of its own, and hides what is behind it
		}
		if err != nil {
			return false, err
		}
		used = true
		if r.Type == (&account.Forgotten{}).EventName() {
			said++
			if said >= ended.Keys || ended.Live || !rests {
				return true, nil
			}
			continue
		}
		if said == 0 && !rests {
			rests, _ = keyring.RestsOnKey(&r)
		}
	}
	return !used, nil // nothing that was sealed is in the log
}

// tellUnsaid warns of them, at the start of an engine whose keyring is a file. In a log
// that engines share only verify looks: the keys are all over it.
func (s *services) tellUnsaid(ctx context.Context) {
	keys, ok := s.log.keys.(*keyring.FileKeys)
	if !ok {
		return
	}
	accounts, err := unsaid(ctx, s.log.store, keys.Ended())
	if err != nil && ctx.Err() == nil {
		s.logger.Warn("destroyed keys can't be compared with the log", "error", err)
	}
	for _, name := range accounts {
		s.logger.Warn("the key of an account was destroyed and no event says so: forget was cut short, do it again",
			"account", name)
	}
}

// keyWatch compares the keys that ended with a log that is verified.
type keyWatch struct{ ended map[string]keyring.Ended }

// watchKeys reads the keyring in dir, if there is one. It MUST be called before a copy
// of the log is made: what is forgotten later would look unsaid.
func watchKeys(dir dataDir) (*keyWatch, error) {
	keys, err := keyring.OpenReadOnly(dir.keyring())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return &keyWatch{map[string]keyring.Ended{}}, nil
	}
	if err != nil {
		return nil, err
	}
	return &keyWatch{keys.Ended()}, keys.Close()
}

// see takes the keys in a log that engines share.
func (w *keyWatch) see(r *eventstore.Recorded) {
	if name, ended, ok := keyring.EndedIn(r); ok {
		w.ended[name] = ended
	}
}

// finish reports what is unsaid.
func (w *keyWatch) finish(ctx context.Context, store eventstore.Store, report func(audit.Finding)) (findings int, err error) {
	maps.DeleteFunc(w.ended, func(_ string, e keyring.Ended) bool { return e.Keys == 0 })
	accounts, err := unsaid(ctx, store, w.ended)
	for _, name := range accounts {
		report(audit.Finding{
			Check: audit.CheckKey, Account: name, Revision: -1,
			Expected: "an event that says that the key was destroyed", Found: "none: forget was cut short, do it again",
		})
	}
	return len(accounts), err
}
