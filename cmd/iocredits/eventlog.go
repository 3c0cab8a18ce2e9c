package main

import (
	"context"
	"encoding/hex"
	"errors"
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
	close  func() error
}

// openEmbedded opens the log in the data directory.
func openEmbedded(dir dataDir, opts pebblestore.Options) (*eventLog, error) {
	store, err := pebblestore.Open(dir.log(), opts)
	if err != nil {
		return nil, err
	}
	return &eventLog{store: store, snapshots: store, close: store.Close}, nil
}

// addKeys opens the keyring beside the embedded log.
func (l *eventLog) addKeys(dir dataDir) error {
	keys, err := keyring.Open(dir.keyring(), keyring.Options{})
	if err != nil {
		return err
	}
	l.keys = keys
	closeStore := l.close
	l.close = func() error { return errors.Join(keys.Close(), closeStore()) }
	return nil
}

// openCluster opens the log that a connection string leads to, and the keyring
// in it, which is wrapped under the secret in a file.
func openCluster(ctx context.Context, connection, secretFile string, logger *slog.Logger) (*eventLog, error) {
	secret, err := readKeyringSecret(secretFile)
	if err != nil {
		return nil, err
	}
	store, err := esdbstore.Open(ctx, connection, esdbstore.Options{Logger: logger})
	if err != nil {
		return nil, err
	}
	keys, err := keyring.NewLogKeys(store, secret, keyring.Options{})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &eventLog{store: store, snapshots: store, keys: keys, shared: true, close: store.Close}, nil
}

// readKeyringSecret reads 32 bytes in hex, the same for all engines of a cluster.
func readKeyringSecret(path string) (secret [32]byte, err error) {
	if path == "" {
		return secret, usagef("--keyring-secret is required with an event store on a cluster: a file with 32 random bytes in hex (openssl rand -hex 32), the same for all engines")
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
		return secret, usagef("--keyring-secret %s: %w", path, err)
	}
	if secret == ([32]byte{}) {
		return secret, usagef("--keyring-secret %s is all zeros", path)
	}
	return secret, nil
}
