package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/pebblestore"
)

type scavengeCmd struct {
	Data string `help:"Data directory of an eventstore that is stopped." default:".data" placeholder:"DIR"`
}

// Run does what a cluster's scavenge does, with the log alone.
func (c *scavengeCmd) Run(ctx context.Context, m *Main) (err error) {
	dir := dataDir(c.Data)
	lock, err := dir.hold()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	logger := m.warnings()
	log, err := openEmbedded(dir, pebblestore.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	server, err := esdbserver.New(esdbserver.Options{Store: log.store, Mode: esdbserver.Open, Logger: logger})
	if err != nil {
		return err
	}
	began := time.Now()
	erased, err := server.Scavenge(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(m.Stdout, "scavenged: %d events erased in %s\n", erased, time.Since(began).Round(time.Millisecond))
	return err
}
