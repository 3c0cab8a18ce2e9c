package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
)

type rebuildCmd struct {
	Data string `help:"Data directory of an engine that is stopped." default:".data" placeholder:"DIR"`
}

// Run builds all read models anew. The old ones stay until the new are whole.
func (c *rebuildCmd) Run(ctx context.Context, m *Main) (err error) {
	dir := dataDir(c.Data)
	lock, err := dir.hold()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	events := 0
	s, err := c.openLog(ctx, dir, m, func(n int, _ time.Duration) { events += n })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	head, err := s.log.store.Head(ctx)
	if err != nil {
		return err
	}

	bar := newBar(m.Stderr, int(head), "events")
	began := time.Now()
	err = s.views.Rebuild(ctx, func(through, _ eventstore.Position) { _ = bar.Set(int(through)) })
	_ = bar.Exit()
	if err != nil {
		return err
	}
	took := time.Since(began)
	_, err = fmt.Fprintf(m.Stdout, rebuilt, events, took.Round(time.Millisecond), float64(events)/took.Seconds())
	return err
}

// rebuilt is the line that is printed in the end; the benchmark reads it.
const rebuilt = "rebuilt %d events in %s, %.0f a second\n"

// openLog opens the log, and views that are beyond opening are thrown away:
// whoever rebuilds doesn't want them. A log that is beyond opening is no reason to, nor is
// one that lost what they have: they may be all that is left of it.
func (c *rebuildCmd) openLog(ctx context.Context, dir dataDir, m *Main, onApply func(int, time.Duration)) (*services, error) {
	logger := m.warnings()
	store, views := pebblestore.Options{Logger: logger}, projections.Options{Logger: logger, OnApply: onApply, Outgoing: true}
	log, err := openEmbedded(dir, store)
	if err != nil {
		return nil, err
	}
	s, err := openViews(ctx, dir, log, views)
	var corrupt *eventstore.CorruptError
	if err == nil || errors.As(err, &corrupt) || errors.Is(err, projections.ErrLogLost) || ctx.Err() != nil {
		return s, err
	}
	logger.Warn("the old read models can't be opened and are removed", "error", err)
	if err := os.RemoveAll(dir.views()); err != nil {
		return nil, fmt.Errorf("remove read models: %w", err)
	}
	if log, err = openEmbedded(dir, store); err != nil {
		return nil, err
	}
	return openViews(ctx, dir, log, views)
}
