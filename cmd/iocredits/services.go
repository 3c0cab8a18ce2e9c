package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/notices"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/reactor"
	"iocredits/eventstore/transparency"
	"iocredits/httpapi"
	"iocredits/projections"
)

// services are the parts of a running engine. Each rests on those above it:
//
//	log        the store and the keyring
//	views      follow the store
//	ledger     appends to the store, asks the views for names
//	notices    appends to the store what customers were told and have seen
//	reactor    asks the views what is due, sends it to the ledger; makes payment
//	           links at the provider
//	(server)   asks them all
//
// They are opened from the top and ended from the bottom, so that nothing that
// was accepted misses what it needs to be finished.
type services struct {
	sealer  *keyring.Sealer
	codec   *eventstore.Codec
	log     *eventLog
	views   *projections.Views
	ledger  *ledger.Ledger
	notices *notices.Writer
	reactor *reactor.Reactor
	// notary is nil if nothing signs; checkpoints are what was signed.
	notary      *transparency.Notary
	checkpoints *transparency.File
	control     *control
	metrics     *httpapi.Metrics
	logger      *slog.Logger
}

// idleAfter is how long an account rests before its snapshot is saved.
const idleAfter = time.Minute

// openViews opens the views on a log that is open. The log is the services' from then on:
// close ends it, and it is closed at once if the views can't be opened.
func openViews(ctx context.Context, dir dataDir, log *eventLog, views projections.Options) (*services, error) {
	s := &services{codec: eventstore.NewCodec(account.EventTypes()...), log: log}
	views.Store, views.Codec = log.store, s.codec
	var err error
	if s.views, err = projections.Open(ctx, dir.views(), views); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openLog opens the log that the flags name, with its keyring.
func (c *serveCmd) openLog(ctx context.Context, dir dataDir, logger *slog.Logger, metrics *httpapi.Metrics) (*eventLog, error) {
	if c.Eventstore != "" {
		log, err := openCluster(ctx, c.Eventstore, c.KeyringSecret, logger)
		if err != nil {
			return nil, err
		}
		if err := log.checkSharedKeys(ctx, c.KeyringSecret, logger); err != nil {
			return nil, errors.Join(err, log.close())
		}
		return log, nil
	}
	log, err := openWithKeys(dir, pebblestore.Options{
		FS: yieldingFS{slowSyncs(c.SyncDelay)}, Logger: logger, MinFreeBytes: c.MinFreeMB << 20,
		OnCommit: func(stats pebblestore.CommitStats) { metrics.OnCommit(stats.Appends, stats.Wait) },
	})
	if err != nil {
		return nil, err
	}
	if err := log.checkKeys(ctx, dir); err != nil {
		return nil, errors.Join(err, log.close())
	}
	return log, nil
}

// open makes everything that the flags ask for; nothing runs yet.
func (c *serveCmd) open(ctx context.Context, dir dataDir, clock func() time.Time, pay *provider, opening *account.Policy, logger *slog.Logger) (*services, error) {
	metrics := httpapi.NewMetrics()
	log, err := c.openLog(ctx, dir, logger, metrics)
	if err != nil {
		return nil, err
	}
	sealer := keyring.NewSealer(log.keys, c.MaxAccounts)
	s, err := openViews(ctx, dir, log, projections.Options{
		FS: yieldingFS{vfs.Default}, Logger: logger, MinFreeBytes: c.MinFreeMB << 20, OnApply: metrics.OnApply,
		OnForgotten: sealer.Forget, // another engine may have destroyed the key
	})
	if err != nil {
		return nil, err
	}
	s.metrics, s.logger, s.sealer = metrics, logger, sealer
	head, err := log.store.Head(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the head of the log: %w", err), s.close())
	}
	s.ledger = ledger.New(ledger.Options{
		Store: log.store, Snapshots: log.snapshots, Shared: log.shared, Known: s.known(), Codec: s.codec, Names: s.views, Clock: clock, Logger: logger,
		Head: head, Opening: opening, SnapshotEvery: c.SnapshotEvery, MaxAccounts: c.MaxAccounts, MaxQueue: c.MaxQueue, MaxInFlight: c.MaxInFlight,
		OnCommand: metrics.OnCommand, OnAppend: metrics.OnAppend,
	})
	s.notices = &notices.Writer{Store: log.store, Codec: s.codec, Clock: clock}
	options := reactor.Options{
		Ledger: s.ledger, Deadlines: s.views, Lots: s.views, Announce: s.notices, Clock: clock, Logger: logger,
		ReconcileEvery: c.ReconcileEvery, OnPaymentDiffers: metrics.OnPaymentDiffers,
	}
	if pay != nil {
		options.Provider, options.Purchases, options.Claims = pay, purchases{s.views}, reactor.Claims{Store: log.store}
	}
	s.reactor = reactor.New(options)
	return s, nil
}

// known is what the ledger checks a cold account against; nil where other engines write too.
func (s *services) known() func(context.Context, string) (int64, account.Figures, error) {
	if s.log.shared {
		return nil
	}
	return s.views.Figures
}

// run runs the services and serve beside them. When serve returns they end in
// the reverse order; the ledger has patience to finish what it accepted.
func (s *services) run(ctx context.Context, patience time.Duration, serve func(context.Context) error) error {
	life := context.WithoutCancel(ctx)
	stopViews := start(life, s.views.Run)
	stopMaintain := start(life, func(ctx context.Context) { s.ledger.Maintain(ctx, idleAfter) })
	stopReactor := start(life, s.react)
	stopNotary := start(life, s.notarise)
	tools := s.control.listen(life) // before anybody is told that the engine is ready
	stopControl := start(life, func(ctx context.Context) { s.control.run(ctx, tools) })
	stopKeys := start(life, s.compareKeys)

	err := serve(ctx)

	stopKeys()
	stopControl()
	stopNotary()
	stopReactor()
	stopMaintain()
	closing, cancel := context.WithTimeout(life, patience)
	defer cancel()
	if closeErr := s.ledger.Close(closing); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("finish commands under way: %w", closeErr))
	}
	s.signLast(closing)
	stopViews()
	return err
}

// openNotary opens the signed checkpoints, and what signs new ones if it can.
func (s *services) openNotary(dir dataDir, signer *signerKey, clock func() time.Time, logger *slog.Logger) (err error) {
	if s.checkpoints, err = transparency.OpenFile(dir.checkpoints()); err != nil || signer == nil {
		return err
	}
	s.notary = transparency.NewNotary(transparency.Options{
		Store: s.log.store, Tree: s.views, File: s.checkpoints, Signer: signer, Verifier: signer.verifier, Clock: clock, Logger: logger,
	})
	return nil
}

func (s *services) notarise(ctx context.Context) {
	if s.notary != nil {
		s.notary.Run(ctx)
	}
}

// lastSign is how long a stop waits for the last checkpoint: far longer than the read models
// are behind, unless they are being built or the log is out of reach.
const lastSign = 2 * time.Second

// signLast signs what the engine leaves behind, or nobody would until its next start.
// The ledger writes no more. That it can't is no failure of the stop.
func (s *services) signLast(ctx context.Context) {
	if s.notary == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastSign)
	defer cancel()
	head, err := s.log.store.Head(ctx)
	if err == nil && head != eventstore.BeforeFirst {
		_, err = s.notary.Sign(ctx, head)
	}
	if err != nil {
		s.logger.Warn("the newest events are not signed", "error", err)
	}
}

// audit is what the API needs for its proofs; nil without a signer.
func (s *services) audit(signer *signerKey) *httpapi.Audit {
	if s.notary == nil {
		return nil
	}
	return &httpapi.Audit{Notary: s.notary, Checkpoints: s.checkpoints, PublicKey: signer.public}
}

// react runs the reactor: on a log that other engines share, only while this one
// has the lease, and its read models keep up.
func (s *services) react(ctx context.Context) {
	run := func(ctx context.Context) {
		s.metrics.OnReactor(true)
		defer s.metrics.OnReactor(false)
		s.reactor.Run(ctx)
	}
	if !s.log.shared {
		run(ctx)
		return
	}
	follows := keepsUp{head: s.log.store.Head, through: s.views.Through}
	lease := &reactor.Lease{
		Store: s.log.store, Name: "reactor", Holder: uuid.NewString(), TTL: reactor.DefaultLeaseTTL, Fit: follows.fit, Logger: s.logger,
	}
	lease.Hold(ctx, run)
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
	if s.checkpoints != nil {
		errs = append(errs, s.checkpoints.Close())
	}
	if s.views != nil {
		errs = append(errs, s.views.Close())
	}
	return errors.Join(append(errs, s.log.close())...)
}
