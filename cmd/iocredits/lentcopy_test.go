package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/disk"
	"iocredits/projections/audit"
)

// TestACopyOutlivesItsEngine: a tool reads what it was given, however often the engine is
// stopped and started, and finds a sound log sound.
func TestACopyOutlivesItsEngine(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	require.True(t, isThere(dataDir(data).control()), "an engine that says it is ready answers tools")
	e.trade("demo-1")
	e.must("auditor", "GET", "/v1/audit/checkpoint", "", "")
	var log bytes.Buffer
	s, err := sourceFlags{Data: data}.open(t.Context(), &Main{Stdout: io.Discard, Stderr: &log})
	require.NoError(t, err)
	lent, err := os.ReadDir(dataDir(data).copies())
	require.NoError(t, err)
	require.Len(t, lent, 1)
	dir := dataDir(filepath.Join(dataDir(data).copies(), lent[0].Name()))
	require.NoError(t, e.stop())
	again := serve(t, data)
	again.fund("demo-2", "5")
	other, err := sourceFlags{Data: data}.open(t.Context(), &Main{Stdout: io.Discard, Stderr: &log})
	require.NoError(t, err)
	require.NoError(t, again.stop())
	for _, part := range []string{dir.log(), dir.views(), dir.checkpoints()} {
		require.DirExists(t, part)
	}
	for _, s := range []*evidence{s, other} {
		found, err := audit.Verify(t.Context(), s.Source, audit.Options{
			Scratch: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Report: func(f audit.Finding) { t.Error(f) },
		})
		require.NoError(t, err)
		require.NotZero(t, found.Events)
		require.True(t, found.ViewsCompared)
		require.NoError(t, s.close())
	}
	lent, err = os.ReadDir(dataDir(data).copies())
	require.NoError(t, err)
	require.Empty(t, lent, "who reads a copy removes it")
	require.Empty(t, log.String())
}

// TestACopyOfAnEngineStartedElsewhere: to a tool that works in another folder, the engine's
// --data may be no name, as to one that works outside of its container.
func TestACopyOfAnEngineStartedElsewhere(t *testing.T) {
	home := t.TempDir()
	t.Chdir(home)
	serveChild(t, "data").fund("demo-1", "5")
	t.Chdir(t.TempDir())
	run := &Main{Stdout: io.Discard, Stderr: io.Discard}
	require.NoError(t, run.Run(t.Context(), []string{"verify", "--data", filepath.Join(home, "data")}))
}

// TestCopiesOfTheDead are removed at the next start, and those that are read are not.
func TestCopiesOfTheDead(t *testing.T) {
	dir := dataDir(t.TempDir())
	c := &control{dir: dir, logger: slog.New(slog.DiscardHandler)}
	dead, err := newCopy(dir.copies())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dataDir(dead).log(), 0o700))
	earlier := filepath.Join(dir.copies(), "1") // of an engine that knew no lock
	require.NoError(t, os.MkdirAll(dataDir(earlier).log(), 0o700))
	read, err := newCopy(dir.copies())
	require.NoError(t, err)
	held, err := holdCopy(read)
	require.NoError(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	c.run(ended, c.listen(t.Context()))
	require.NoDirExists(t, dead)
	require.NoDirExists(t, earlier)
	require.DirExists(t, read)
	require.NoError(t, held.Close())
	require.NoDirExists(t, read)
	_, err = holdCopy(read)
	require.ErrorContains(t, err, "run this again")
	require.Equal(t, exitFailed, exitCode(err))
}

// TestACopyBeforeItIsHeld: an engine that ends between its answer and the tool's lock
// leaves nothing to be read by halves.
func TestACopyBeforeItIsHeld(t *testing.T) {
	copies := dataDir(t.TempDir()).copies()
	dir, err := newCopy(copies)
	require.NoError(t, err)
	lock, err := disk.Lock(filepath.Join(dir, copyLock)) // as the engine does to remove it
	require.NoError(t, err)
	_, err = holdCopy(dir)
	require.ErrorIs(t, err, disk.ErrLocked)
	require.NoError(t, removeHeld(dir))
	_, err = holdCopy(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, lock.Close())
	require.NoError(t, removeUnheld(dir))

	ours, theirs := net.Pipe()
	require.NoError(t, ours.Close())
	broken := &control{dir: dataDir(t.TempDir())}
	require.NoError(t, os.WriteFile(broken.dir.checkpoints(), nil, privateMode)) // no folder, so no copy
	require.Error(t, broken.lend(theirs, theirs, true))
	left, err := os.ReadDir(broken.dir.copies())
	require.NoError(t, err)
	require.Empty(t, left)
}
