package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/pebblestore"
)

// eventLog is the log with what goes with it: on this machine, or on a cluster.
type eventLog struct {
	store     eventstore.Store
	snapshots eventstore.Snapshots
	// keys is nil where only events are asked for.
	keys keyring.Keys
	// shared: other engines may write to it.
	shared bool
	// failed has the reason once an embedded log, or the keyring beside it, can take no more
	// writes: the first of them. Nil for others.
	failed chan error
	close  func() error
}

// openEmbedded opens the log in the data directory.
func openEmbedded(dir dataDir, opts pebblestore.Options) (*eventLog, error) {
	log := &eventLog{failed: make(chan error, 1)}
	opts.OnFail = log.fail
	store, err := pebblestore.Open(dir.log(), opts)
	if err != nil {
		return nil, err
	}
	log.store, log.snapshots, log.close = store, store, store.Close
	return log, nil
}

// fail lets watch give the error, if it is the first. It waits for nobody.
func (l *eventLog) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
}

// openWithKeys opens the log and the keyring beside it.
func openWithKeys(dir dataDir, opts pebblestore.Options) (*eventLog, error) {
	log, err := openEmbedded(dir, opts)
	if err != nil {
		return nil, err
	}
	if err := log.addKeys(dir, opts.Logger); err != nil {
		return nil, errors.Join(err, log.close())
	}
	return log, nil
}

// watch gives an error once the log or its keyring can take no more writes: only an engine
// that is started again knows what of the last ones is on the disk. Nil once ctx ends.
func (l *eventLog) watch(ctx context.Context) error {
	select {
	case err := <-l.failed:
		return fmt.Errorf("%w: %w", errDisk, err)
	case <-ctx.Done():
		return nil
	}
}

// addKeys opens the keyring beside the embedded log.
func (l *eventLog) addKeys(dir dataDir, logger *slog.Logger) error {
	lost := &lostKeys{store: l.store, logger: logger}
	keys, err := keyring.Open(dir.keyring(), keyring.Options{OnFail: l.fail, Lost: lost.isLost})
	if err != nil {
		return err
	}
	l.keys, lost.keys = keys, keys
	closeStore := l.close
	l.close = func() error { return errors.Join(keys.Close(), closeStore()) }
	return nil
}

// keySearch is how many events from either end of the log are looked at for one that
// needs a key.
const keySearch = 10_000

// checkKeys compares the keyring with the log. An account with an event that a keyed request
// made has a key, durable before the event: where there is none this is another keyring, or
// an older one. With new keys instead the repeat of a charge would be refused, and no text
// could be read.
func (l *eventLog) checkKeys(ctx context.Context, dir dataDir) error {
	account, position, err := keyless(ctx, l.store, l.keys)
	if err == nil && account != "" {
		err = fmt.Errorf("the keyring %s is not the one of this log: account %s has an event at position %d and no key. Put the right keyring back",
			dir.keyring(), account, position)
	}
	return err
}

// checkSharedKeys is checkKeys for a keyring that is in the log: it can't be another one, but
// the secret that wraps it can. One that doesn't open the first account's key is refused: no
// other engine could read the keys that it makes. If only the newest account has such a key,
// or one of the two has none, that is logged: a refusal would stop all others for ever.
func (l *eventLog) checkSharedKeys(ctx context.Context, secretFile string, logger *slog.Logger) error {
	without := 0
	for _, direction := range bothEnds {
		account, position, err := keylessFrom(ctx, direction, l.store, l.keys)
		foreign := errors.Is(err, keyring.ErrKeyMissing)
		switch {
		case foreign && direction == eventstore.Forwards:
			return usagef("--keyring-secret %s is not the one of this log: %w", secretFile, err)
		case err != nil && !foreign:
			return err
		case account == "":
			continue
		case !foreign:
			without++
		}
		logger.Error("the keyring in the log lacks a key, or an engine made it with another secret: texts of the account can't be read, and repeats of its requests are refused",
			"account", account, "position", position, "error", err)
	}
	if without == len(bothEnds) {
		return errors.New("the log has no keyring that fits it: neither the first account nor the newest has a key. If it is a copy, run iocredits copy again")
	}
	return nil
}

var bothEnds = [...]eventstore.Direction{eventstore.Forwards, eventstore.Backwards}

// keyless finds an account that has no key and an event that needs one: the first or
// the newest of them in the log.
func keyless(ctx context.Context, store eventstore.Store, keys keyring.Keys) (account string, at eventstore.Position, err error) {
	for _, direction := range bothEnds {
		if account, at, err = keylessFrom(ctx, direction, store, keys); err != nil || account != "" {
			break
		}
	}
	return account, at, err
}

// keylessFrom looks at the first such event from one end of the log. Where the key is there
// and can't be read it gives account and error.
func keylessFrom(ctx context.Context, direction eventstore.Direction, store eventstore.Store, keys keyring.Keys) (account string, at eventstore.Position, err error) {
	from := eventstore.BeforeFirst
	if direction == eventstore.Backwards {
		from = eventstore.EndOfLog
	}
	for r, err := range store.ReadAll(ctx, from, direction, keySearch) {
		if err != nil {
			return "", 0, err
		}
		account, ours := eventstore.AccountOf(r.Stream)
		if !ours {
			continue
		}
		meta, err := eventstore.DecodeMetadata(r.Metadata)
		if err != nil || meta.Command.Fingerprint == "" {
			continue // damage is for who reads the event
		}
		_, status, err := keys.Find(ctx, account)
		if err != nil || status == keyring.None {
			return account, r.Position, err
		}
		break
	}
	return "", 0, nil
}

// openCluster opens the log that a connection string leads to, and the keyring
// in it, which is wrapped under the secret in a file.
func openCluster(ctx context.Context, connection, secretFile string, logger *slog.Logger) (*eventLog, error) {
	secret, err := readKeyringSecret(secretFile)
	if err != nil {
		return nil, err
	}
	store, err := dialCluster(ctx, connection, logger)
	if err != nil {
		return nil, err
	}
	keys, err := keyring.NewLogKeys(store, secret, keyring.Options{})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &eventLog{store: store, snapshots: store, keys: keys, shared: true, close: store.Close}, nil
}

// dialCluster opens the log alone.
func dialCluster(ctx context.Context, connection string, logger *slog.Logger) (*esdbstore.Store, error) {
	store, err := esdbstore.Open(ctx, connection, esdbstore.Options{Logger: logger})
	if errors.Is(err, esdbstore.ErrConnection) {
		return nil, &usageError{err}
	}
	return store, err
}

// readKeyringSecret reads 32 bytes in hex, the same for all engines of a cluster.
func readKeyringSecret(path string) (secret [32]byte, err error) {
	if path == "" {
		return secret, usagef("--keyring-secret is required with an event store on a cluster, or " + envPrefix + "_KEYRING_SECRET in the environment: a file with 32 random bytes in hex (openssl rand -hex 32), the same for all engines")
	}
	if _, err := hex.DecodeString(path); err == nil && len(path) == hex.EncodedLen(len(secret)) {
		return secret, usagef("--keyring-secret takes the file of the secret, not the secret itself")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return secret, usagef("--keyring-secret: %w", err)
	}
	trimmed := strings.TrimSpace(string(text))
	if len(trimmed) != hex.EncodedLen(len(secret)) {
		return secret, usagef("--keyring-secret %s has %d characters, not the %d of 32 bytes in hex", path, len(trimmed), hex.EncodedLen(len(secret)))
	}
	if _, err := hex.Decode(secret[:], []byte(trimmed)); err != nil {
		return secret, usagef("--keyring-secret %s isn't hex", path)
	}
	if secret == ([32]byte{}) {
		return secret, usagef("--keyring-secret %s is all zeros", path)
	}
	return secret, nil
}
