package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/eventstore/disk"
)

// dataDir is the directory that one engine works in:
//
//	LOCK            held while a process has the directory
//	log/            the event log and its snapshots
//	keyring/        the keys of sealed text
//	views/          the read models; may be deleted, rebuild makes them again
//	checkpoints/    signed checkpoints of the log; never delete, nothing makes them again
//	control         socket for tools, while an engine runs
//	copies/         what tools read of a running engine, while they do
//	dev-signer      --dev only: signs checkpoints; .pub is its public key
//	dev-keys.json   --dev only
//	sandbox.json    --dev only: what happened at the payment sandbox
//	sandbox-addr    --dev only: where it listens
//	dev-clock       --dev only: how far POST /dev/clock has moved the clock
type dataDir string

func (d dataDir) log() string         { return filepath.Join(string(d), "log") }
func (d dataDir) keyring() string     { return filepath.Join(string(d), "keyring") }
func (d dataDir) views() string       { return filepath.Join(string(d), "views") }
func (d dataDir) checkpoints() string { return filepath.Join(string(d), "checkpoints") }
func (d dataDir) control() string     { return filepath.Join(string(d), "control") }
func (d dataDir) copies() string      { return filepath.Join(string(d), "copies") }
func (d dataDir) devSigner() string   { return filepath.Join(string(d), "dev-signer") }
func (d dataDir) devKeys() string     { return filepath.Join(string(d), "dev-keys.json") }
func (d dataDir) devClock() string    { return filepath.Join(string(d), "dev-clock") }
func (d dataDir) sandbox() string     { return filepath.Join(string(d), "sandbox.json") }
func (d dataDir) sandboxAddr() string { return filepath.Join(string(d), "sandbox-addr") }

// open makes the directory if need be and holds it alone until the lock is
// closed, or the process ends however it ends.
func (d dataDir) open() (lock io.Closer, err error) {
	dir, err := filepath.Abs(string(d)) // the lock goes by the name
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), disk.SyncDir(filepath.Dir(dir))); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err = vfs.Default.Lock(filepath.Join(dir, "LOCK"))
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory %s is in use by another process: stop it first", d)
	}
	return lock, nil
}

// hold holds a directory that is there and has a log, as open does: it is of an
// engine or an eventstore that is stopped.
func (d dataDir) hold() (lock io.Closer, err error) {
	if _, err := os.Stat(d.log()); err != nil {
		return nil, usagef("%s is no data directory: %w", d, err)
	}
	return d.open()
}

// Modes of files: what is for the engine alone, and what is there to be published.
const (
	privateMode = 0o600
	publicMode  = 0o644
)
