package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/httpapi"
	"iocredits/projections"
)

type forgetCmd struct {
	Account string   `arg:"" help:"Account whose free text is to be erased."`
	Reason  string   `help:"Why, in the clear and for ever: a case number, nothing personal." required:"" placeholder:"TEXT"`
	Data    string   `help:"Data directory of an engine, running or stopped." default:".data" placeholder:"DIR"`
	Backup  []string `help:"Folders of keyring copies in which the key is destroyed too." placeholder:"DIR"`
}

// Run destroys the account's key in the backups first, then in the keyring, and
// leaves the event: it says that the key is gone everywhere.
func (c *forgetCmd) Run(ctx context.Context, m *Main) error {
	dir := dataDir(c.Data)
	if _, err := os.Stat(dir.log()); err != nil {
		return usagef("%s is no data directory: %w", c.Data, err)
	}
	for _, backup := range c.Backup {
		if err := destroyIn(ctx, backup, c.Account); err != nil {
			return err
		}
		fmt.Fprintf(m.Stdout, "%s: key destroyed in this copy\n", backup)
	}
	answer, conn, err := askEngine(ctx, dir, controlRequest{Do: "forget", Account: c.Account, Reason: c.Reason})
	if err == nil {
		err = conn.Close()
	} else if errors.Is(err, errNoEngine) {
		answer.Revision, err = c.alone(ctx, m, dir)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(m.Stdout, "%s: key destroyed; event %d says so\n", c.Account, answer.Revision)
	return err
}

func destroyIn(ctx context.Context, dir, account string) (err error) {
	if _, err := os.Stat(dir); err != nil {
		return usagef("--backup: %w", err)
	}
	keys, err := keyring.Open(dir, keyring.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	return keys.Destroy(ctx, account)
}

// alone does it without an engine.
func (c *forgetCmd) alone(ctx context.Context, m *Main, dir dataDir) (revision int64, err error) {
	lock, err := dir.open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	logger := slog.New(slog.NewTextHandler(m.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	log, err := openEmbedded(dir, pebblestore.Options{Logger: logger})
	if err == nil {
		err = log.addKeys(dir)
	}
	if err != nil {
		return 0, err
	}
	s, err := openViews(ctx, dir, log, projections.Options{Logger: logger})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.views.RunToEnd(ctx, nil); err != nil {
		return 0, err
	}
	clock := time.Now
	if dev, err := openDevClock(dir.devClock()); err == nil {
		clock = dev.Now
	}
	s.ledger = ledger.New(ledger.Options{Store: log.store, Snapshots: log.snapshots, Codec: s.codec, Names: s.views, Clock: clock, Logger: logger})
	result, err := httpapi.Forget(ctx, s.ledger, keyring.NewSealer(log.keys, 1), operator(c.Account), c.Reason)
	return result.Revision, errors.Join(err, s.ledger.Close(ctx))
}

// operator is who has the data directory in his hands.
func operator(account string) ledger.Request {
	return ledger.Request{Account: account, Actor: "operator", Role: string(httpapi.RoleAdmin)}
}
