package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/reactor"
	"iocredits/httpapi"
	"iocredits/projections"
)

// services are the parts of a running engine. Each rests on those above it:
//
//	store, keyring
//	views      follow the store
//	ledger     appends to the store, asks the views for names
//	reactor    asks the views what is due, sends it to the ledger
//	(server)   asks them all
//
// They are opened from the top and ended from the bottom, so that nothing that
// was accepted misses what it needs to be finished.
type services struct {
	codec   *eventstore.Codec
	store   *pebblestore.Store
	keyring *keyring.FileKeys
	views   *projections.Views
	ledger  *ledger.Ledger
	reactor *reactor.Reactor
	metrics *httpapi.Metrics
}

// idleAfter is how long an account rests before its snapshot is saved.
const idleAfter = time.Minute

// openLog opens the store and the views: what serve and rebuild have in common.
func openLog(ctx context.Context, dir dataDir, store pebblestore.Options, views projections.Options) (*services, error) {
	s := &services{codec: eventstore.NewCodec(account.EventTypes()...)}
	var err error
	if s.store, err = pebblestore.Open(dir.log(), store); err != nil {
		return nil, err
	}
	views.Store, views.Codec = s.store, s.codec
	if s.views, err = projections.Open(ctx, dir.views(), views); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open makes everything that the flags ask for; nothing runs yet.
func (c *serveCmd) open(ctx context.Context, dir dataDir, clock func() time.Time, logger *slog.Logger) (*services, error) {
	metrics := httpapi.NewMetrics()
	s, err := openLog(ctx, dir,
		pebblestore.Options{FS: slowSyncs(c.SyncDelay), Logger: logger, MinFreeBytes: c.MinFreeMB << 20,
			OnCommit: func(stats pebblestore.CommitStats) { metrics.OnCommit(stats.Appends, stats.Wait) }},
		projections.Options{Logger: logger, MinFreeBytes: c.MinFreeMB << 20, OnApply: metrics.OnApply})
	if err != nil {
		return nil, err
	}
	s.metrics = metrics
	if s.keyring, err = keyring.Open(dir.keyring(), keyring.Options{}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.ledger = ledger.New(ledger.Options{
		Store: s.store, Snapshots: s.store, Codec: s.codec, Names: s.views, Clock: clock, Logger: logger,
		SnapshotEvery: c.SnapshotEvery, MaxAccounts: c.MaxAccounts, MaxQueue: c.MaxQueue, MaxInFlight: c.MaxInFlight,
		OnCommand: metrics.OnCommand, OnAppend: metrics.OnAppend,
	})
	s.reactor = reactor.New(reactor.Options{Ledger: s.ledger, Deadlines: s.views, Clock: clock, Logger: logger})
	return s, nil
}

// run runs the services and serve beside them. When serve returns they end in
// the reverse order; the ledger has patience to finish what it accepted.
func (s *services) run(ctx context.Context, patience time.Duration, serve func(context.Context) error) error {
	life := context.WithoutCancel(ctx)
	stopViews := start(life, s.views.Run)
	stopMaintain := start(life, func(ctx context.Context) { s.ledger.Maintain(ctx, idleAfter) })
	stopReactor := start(life, s.reactor.Run)

	err := serve(ctx)

	stopReactor()
	stopMaintain()
	closing, cancel := context.WithTimeout(life, patience)
	defer cancel()
	if closeErr := s.ledger.Close(closing); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("finish commands under way: %w", closeErr))
	}
	stopViews()
	return err
}

// start runs f in the background. stop ends it and waits until it has ended.
func start(ctx context.Context, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// close ends what was opened; nothing may run any more.
func (s *services) close() error {
	var errs []error
	if s.views != nil {
		errs = append(errs, s.views.Close())
	}
	if s.keyring != nil {
		errs = append(errs, s.keyring.Close())
	}
	return errors.Join(append(errs, s.store.Close())...)
}
