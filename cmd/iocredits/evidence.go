package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
	"iocredits/projections/audit"
)

// sourceFlags say what an auditor's tool reads.
type sourceFlags struct {
	Data       string `help:"Data directory of an engine, running or stopped; it is only read." default:".data" placeholder:"DIR"`
	EventStore string `name:"eventstore" help:"Read the log from EventStoreDB instead: an esdb:// connection string. Keyring, read models and checkpoints still come from --data, as far as they are there." placeholder:"URL"`
}

// evidence is what the flags open.
type evidence struct {
	audit.Source
	dir dataDir
	// sealer opens text; nil where the keyring isn't.
	sealer *keyring.Sealer
	closes []io.Closer
}

func (s *evidence) close() error {
	var errs []error
	for i := len(s.closes) - 1; i >= 0; i-- {
		errs = append(errs, s.closes[i].Close())
	}
	return errors.Join(errs...)
}

// open finds the log, and beside it whatever else there is.
func (f sourceFlags) open(ctx context.Context, m *Main) (s *evidence, err error) {
	s = &evidence{dir: dataDir(f.Data)}
	s.Codec = eventstore.NewCodec(account.EventTypes()...)
	logger := m.warnings()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	var files dataDir
	if f.EventStore != "" {
		store, err := dialCluster(ctx, f.EventStore, logger)
		if err != nil {
			return s, err
		}
		s.Store, s.closes = store, append(s.closes, store)
		if files, err = s.beside(ctx); err != nil {
			return s, err
		}
	} else {
		if files, err = s.readable(ctx); err != nil {
			return s, err
		}
		store, err := pebblestore.Open(files.log(), pebblestore.Options{FS: readOnlyFS{vfs.Default}, ReadOnly: true, Logger: logger})
		if err != nil {
			return s, err
		}
		s.Store, s.closes = store, append(s.closes, store)
	}
	return s, s.openRest(files, logger)
}

// openRest opens what stands beside the log.
func (s *evidence) openRest(files dataDir, logger *slog.Logger) error {
	image, found, err := projections.OpenImage(files.views(), projections.Options{
		Store: s.Store, Codec: s.Codec, FS: readOnlyFS{vfs.Default}, Logger: logger,
	})
	if projections.Damaged(err) {
		s.ViewsDamage, err = err, nil // the log can be checked all the same
	}
	if err != nil {
		return err
	}
	if found {
		s.Views, s.closes = image, append(s.closes, image)
	}
	if _, err := os.Stat(files.checkpoints()); err == nil {
		s.Checkpoints = audit.Checkpoints(files.checkpoints())
	}
	keys, err := keyring.OpenReadOnly(s.dir.keyring())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	s.sealer, s.closes = keyring.NewSealer(keys, 0), append(s.closes, keys)
	return nil
}

// readable gives a folder whose log nobody writes.
func (s *evidence) readable(ctx context.Context) (dataDir, error) {
	if err := s.dir.checkLog(orOnCluster); err != nil {
		return "", err
	}
	return s.still(ctx, "copy")
}

// beside gives a folder whose read models and checkpoints nobody writes, where
// the log is on a cluster. It may have neither.
func (s *evidence) beside(ctx context.Context) (dataDir, error) {
	_, noViews := os.Stat(s.dir.views())
	_, noCheckpoints := os.Stat(s.dir.checkpoints())
	if errors.Is(noViews, fs.ErrNotExist) && errors.Is(noCheckpoints, fs.ErrNotExist) {
		return s.dir, nil
	}
	return s.still(ctx, "copy-views")
}

// still gives a folder that nobody writes: a copy that a running engine made, which
// stays when the engine ends; or the data directory itself, held if it
// can be held. One that can't be written needs no holding.
func (s *evidence) still(ctx context.Context, do string) (dataDir, error) {
	answer, conn, err := askEngine(ctx, s.dir, controlRequest{Do: do})
	if err == nil {
		s.closes = append(s.closes, conn)
		// The engine's own name for it may begin in the folder where that was started, or in
		// its container.
		lent := filepath.Join(s.dir.copies(), filepath.Base(answer.Dir))
		held, err := holdCopy(lent)
		if err != nil {
			return "", err
		}
		s.closes = append(s.closes, held)
		return dataDir(lent), nil
	}
	if !errors.Is(err, errNoEngine) {
		return "", err
	}
	lock, err := s.dir.open()
	switch {
	case err == nil:
		s.closes = append(s.closes, lock)
	case !errors.Is(err, syscall.EROFS) && !errors.Is(err, fs.ErrPermission):
		return "", err
	}
	return s.dir, nil
}

// reveal opens the sealed text in an event for a person.
func (s *evidence) reveal(ctx context.Context, name string, data []byte) []byte {
	if s.sealer == nil {
		return data
	}
	return audit.Reveal(data, func(sealed domain.Sealed) (string, error) { return s.sealer.Open(ctx, name, sealed) })
}

// readOnlyFS is a file system on which nothing can be changed, so that a tool
// can't, whatever it does. Pebble wants to lock even what it only reads: readable
// has seen to that.
type readOnlyFS struct{ vfs.FS }

var errReadOnlyFS = fmt.Errorf("a tool that only reads: %w", syscall.EROFS)

func (readOnlyFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (readOnlyFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errReadOnlyFS }

func (readOnlyFS) Link(string, string) error { return errReadOnlyFS }

func (readOnlyFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errReadOnlyFS
}

func (readOnlyFS) Remove(string) error { return errReadOnlyFS }

func (readOnlyFS) RemoveAll(string) error { return errReadOnlyFS }

func (readOnlyFS) Rename(string, string) error { return errReadOnlyFS }

func (readOnlyFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnlyFS
}

func (readOnlyFS) MkdirAll(string, os.FileMode) error { return errReadOnlyFS }
