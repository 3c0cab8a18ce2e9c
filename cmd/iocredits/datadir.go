package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"iocredits/eventstore/disk"
	"iocredits/eventstore/pebblestore"
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

// madeByDev tells that an engine with --dev has worked here.
func (d dataDir) madeByDev() bool {
	return slices.ContainsFunc([]string{d.devKeys(), d.devClock(), d.devSigner(), d.sandbox(), d.sandboxAddr()}, isThere)
}

// isEngines tells that an engine has worked here: where the log is served alone, only
// rebuild makes read models, which are of no use there.
func (d dataDir) isEngines() bool { return isThere(d.views()) || isThere(d.checkpoints()) }

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// checkName refuses a name that is empty, as of a variable that isn't set: it would be
// the folder that the command was typed in.
func (d dataDir) checkName() error {
	if d == "" {
		return usagef("--data is empty: name a folder")
	}
	return nil
}

// open makes the directory if need be and holds it alone until the lock is
// closed, or the process ends however it ends.
func (d dataDir) open() (lock io.Closer, err error) {
	if err := d.checkName(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(string(d)) // the lock goes by the name
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := disk.MakeDir(dir); errors.Is(err, syscall.ENOTDIR) {
		return nil, usagef("%s is no folder: %w", d, err)
	} else if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err = disk.Lock(filepath.Join(dir, "LOCK"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is %w: stop it first", d, err)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return lock, nil
}

// hold holds a directory that is there and has a log, as open does: it is of an
// engine or an eventstore that is stopped.
func (d dataDir) hold() (lock io.Closer, err error) {
	if err := d.checkLog(""); err != nil {
		return nil, err
	}
	return d.open()
}

// Modes of files: what is for the engine alone, and what is there to be published.
const (
	privateMode = 0o600
	publicMode  = 0o644
)

// checkLog refuses a directory without a log: whoever opened it would make an empty one.
// hint is what may have been meant instead.
func (d dataDir) checkLog(hint string) error {
	if err := d.checkName(); err != nil {
		return err
	}
	_, err := os.Stat(d.log())
	if err == nil {
		var exists bool
		if exists, err = pebblestore.Exists(d.log()); err == nil && !exists {
			err = fmt.Errorf("there is no event log in %s", d.log())
		}
	}
	if err != nil {
		return usagef("%s is no data directory%s: %w", d, hint, err)
	}
	return nil
}

// orOnCluster is the hint of tools that have --eventstore.
const orOnCluster = " (a log on a cluster is named with --eventstore)"

// checkNew finds out that a file can't be made, because its folder isn't there or
// something is in its place. What is there and no file, like a pipe, is written to.
func checkNew(flag, path string) error {
	if err := checkFolder(flag, path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case path == "" || err != nil: // whoever makes it finds out more
		return nil
	case info.IsDir():
		return usagef("%s: %s is a folder: name a file in it", flag, path)
	case info.Mode().IsRegular():
		return usagef("%s: %w", flag, &fs.PathError{Op: "create", Path: path, Err: syscall.EEXIST})
	}
	return nil
}

// writeNew writes a file that checkNew has nothing against, durably.
func writeNew(flag, path string, content []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		return errors.Join(err, f.Close())
	}
	return createFile(flag, path, content, privateMode)
}

// createFile makes a file that isn't there, durably, of a mode that no umask narrows; a
// crash leaves nothing of it, which would be in its own way. what names it in errors: of
// usage, if it is there or its folder isn't.
func createFile(what, path string, content []byte, mode os.FileMode) error {
	err := disk.CreateFile(path, content, mode)
	var of *fs.PathError
	if errors.As(err, &of) && of.Op == "create" {
		return usagef("%s: %w", what, err)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, path, err)
	}
	return nil
}
