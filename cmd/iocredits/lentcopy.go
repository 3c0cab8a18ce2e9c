package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"iocredits/eventstore/disk"
)

// A copy that an engine makes for a tool is the tool's for as long as it reads, even when
// the engine ends: with files missing a sound log would look like one that was tampered
// with. The tool holds a lock in it, and nobody removes what is held. One that was killed
// holds nothing; the engine finds that out when the connection ends, or at its next start.

// copyLock is held by the tool. The engine makes the file, so that no disk that is full
// keeps a tool from it.
const copyLock = "LOCK"

// newCopy makes a folder for a copy, of a name that no other has.
func newCopy(copies string) (dir string, err error) {
	if err := os.MkdirAll(copies, 0o700); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(copies, "*"); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, copyLock), nil, privateMode)
}

// removeUnheld removes a copy, unless a tool reads it.
func removeUnheld(dir string) error {
	lock, err := disk.Lock(filepath.Join(dir, copyLock))
	if errors.Is(err, disk.ErrLocked) || errors.Is(err, fs.ErrNotExist) { // or the tool has removed it
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(removeHeld(dir), lock.Close())
}

// removeAllUnheld does it at a start with what stayed of tools and engines before.
func removeAllUnheld(copies string) error {
	entries, err := os.ReadDir(copies)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, removeUnheld(filepath.Join(copies, e.Name())))
	}
	return errors.Join(errs...)
}

// removeHeld removes a copy that the caller holds. It takes the name away first: nobody can
// lock what is half removed.
func removeHeld(dir string) error {
	gone := dir + ".gone"
	if err := os.Rename(dir, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// heldCopy is a copy in the hands of a tool. To close it removes it.
type heldCopy struct {
	dir  string
	lock io.Closer
}

// holdCopy makes an engine's copy the tool's.
func holdCopy(dir string) (*heldCopy, error) {
	lock, err := disk.Lock(filepath.Join(dir, copyLock))
	if err != nil {
		return nil, fmt.Errorf("the engine ended while it gave a copy of its data, so run this again: %w", err)
	}
	return &heldCopy{dir, lock}, nil
}

func (c *heldCopy) Close() error { return errors.Join(removeHeld(c.dir), c.lock.Close()) }
