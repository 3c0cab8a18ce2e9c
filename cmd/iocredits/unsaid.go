package main

import (
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
// with the key that they have in memory. Doing it again mends it: what is here finds
// the accounts for which somebody has to.

// unsaid finds the accounts whose key was destroyed without an event that says so, of
// those that had one destroyed.
func unsaid(ctx context.Context, store eventstore.Store, ended map[string]keyring.Ended) (accounts []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(ended)) {
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

// compareKeys holds the keyring to the log, beside an engine that starts.
func (s *services) compareKeys(ctx context.Context) {
	s.tellUnsaid(ctx) // which needs no read models
	s.tellRevived(ctx)
}

// tellUnsaid warns of what unsaid finds, at the start of an engine whose keyring is a
// file. In a log that engines share only verify looks: the keys are all over it.
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

// keyWatch compares the keys that ended with the log that is verified, and that log with
// the keyring beside it.
type keyWatch struct {
	dir       dataDir
	ended     map[string]keyring.Ended
	forgotten map[string]forgets
	// keys is the keyring as it was found, closed; keyless are those that it lacks, with
	// the position of the first event that needs one.
	keys    *keyring.FileKeys
	keyless map[string]eventstore.Position
	// absent is why the log isn't held to a keyring; empty: it is.
	absent string
}

// watchKeys reads the keyring in dir, if there is one. It MUST be called before a copy
// of the log is made: a key that is destroyed later would look as if no event said so.
func watchKeys(dir dataDir) (*keyWatch, error) {
	w := &keyWatch{dir: dir, ended: map[string]keyring.Ended{}, forgotten: map[string]forgets{}, keyless: map[string]eventstore.Position{}}
	keys, err := keyring.OpenReadOnly(dir.keyring())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.absent = "there is none in " + string(dir) + ", and no engine starts without it"
		return w, nil
	case errors.Is(err, fs.ErrPermission):
		w.absent = err.Error()
		return w, nil
	case err != nil:
		return nil, err
	}
	w.ended, w.keys = keys.Ended(), keys
	return w, keys.Close()
}

// watchShared is for a log that engines share, which has the keys in it.
func watchShared() *keyWatch {
	return &keyWatch{ended: map[string]keyring.Ended{}, forgotten: map[string]forgets{}}
}

// see takes the keys in a log that engines share, and who was forgotten.
func (w *keyWatch) see(r *eventstore.Recorded) {
	if name, ended, ok := keyring.EndedIn(r); ok {
		w.ended[name] = ended
	}
	w.seeKeyless(r)
	if r.Type == (&account.Forgotten{}).EventName() {
		if name, ours := eventstore.AccountOf(r.Stream); ours {
			w.forgotten[name] = forgets{w.forgotten[name].times + 1, r.Revision, r.Position}
		}
	}
}

// finish reports what is unsaid, and what was said and isn't so.
func (w *keyWatch) finish(ctx context.Context, store eventstore.Store, report func(audit.Finding)) (findings int, err error) {
	maps.DeleteFunc(w.ended, func(_ string, e keyring.Ended) bool { return e.Keys == 0 })
	accounts, err := unsaid(ctx, store, w.ended)
	for _, name := range accounts {
		report(audit.Finding{
			Check: audit.CheckKey, Account: name, Revision: -1,
			Expected: "an event that says that the key was destroyed", Found: "none: forget was cut short, do it again",
		})
	}
	if err != nil || w.dir == "" || w.absent != "" {
		return len(accounts), err
	}
	more, err := w.beside(ctx, store, report)
	return len(accounts) + more, err
}

// beside holds the log to the keyring as it is now, which is never behind the log: a
// key is made before its first event, and ends before the event that says so.
func (w *keyWatch) beside(ctx context.Context, store eventstore.Store, report func(audit.Finding)) (findings int, err error) {
	keys, err := keyring.OpenReadOnly(w.dir.keyring())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	find := func(f audit.Finding) {
		f.Check = audit.CheckKey
		findings++
		report(f)
	}
	w.findKeyless(keys, find)
	for _, name := range slices.Sorted(maps.Keys(w.forgotten)) {
		back, err := isBack(ctx, store, name, keys.EndedOf(name), w.forgotten[name])
		if err != nil {
			return findings, err
		}
		if back {
			find(audit.Finding{
				Account: name, Revision: w.forgotten[name].newest, Position: w.forgotten[name].at, What: "account-forgotten",
				Expected: "no key of what was sealed before this event", Found: "one: the keyring is an older one; forget the account again",
			})
		}
	}
	return findings, nil
}
