package main

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/storetest"
)

// TestCopiesGoThroughNoMemory: an engine's checkpoints are gigabytes after a year, and
// every tool that reads a running engine asks for a copy.
func TestCopiesGoThroughNoMemory(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	content := bytes.Repeat([]byte("a checkpoint\n"), 4<<20)
	require.NoError(t, os.WriteFile(filepath.Join(from, "large"), content, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(from, "empty"), nil, 0o600))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, copyFiles(from, to))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(content)/4))
	copied, err := os.ReadFile(filepath.Join(to, "large"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, copied))
	require.FileExists(t, filepath.Join(to, "empty"))
	require.NoError(t, copyFiles(filepath.Join(from, "none"), to))
}

// TestAnEngineThatDoesNotAnswer holds no tool up for ever.
func TestAnEngineThatDoesNotAnswer(t *testing.T) {
	dir := dataDir(t.TempDir())
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", dir.control())
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	_, _, err = askEngineWithin(t.Context(), 10*time.Millisecond, dir, controlRequest{Do: "copy"})
	require.ErrorContains(t, err, "didn't answer within 10ms")
	require.NotErrorIs(t, err, errNoEngine)
}

// TestAnEngineThatEndsBeforeItAnswers: the tool is to be run again.
func TestAnEngineThatEndsBeforeItAnswers(t *testing.T) {
	dir := dataDir(t.TempDir())
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", dir.control())
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_ = conn.Close()
		}
	}()
	_, _, err = askEngine(t.Context(), dir, controlRequest{Do: "copy"})
	require.EqualError(t, err, "the engine ended before it had answered: run this again")
	require.Equal(t, exitFailed, exitCode(err))
}

// lameListener can't accept at first.
type lameListener struct {
	net.Listener
	failures int
	conns    chan net.Conn
	closed   chan struct{}
	close    sync.Once
}

func (l *lameListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *lameListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return nil
}

// TestAControlSocketOutlivesAnError: too many open files are soon less. The stop of an
// engine waits for no listener.
func TestAControlSocketOutlivesAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(storetest.Buffer)
		c := &control{logger: slog.New(slog.NewTextHandler(log, nil))}
		listener := &lameListener{failures: 2, conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.accept(ctx, listener)
		}()
		ours, theirs := net.Pipe()
		listener.conns <- theirs
		_, err := ours.Write([]byte(`{"do":"dance"}` + "\n"))
		require.NoError(t, err)
		answer, err := bufio.NewReader(ours).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, answer, "unknown request")
		require.Contains(t, log.String(), "level=WARN")
		require.Contains(t, log.String(), syscall.EMFILE.Error())
		stop()
		<-ended
		<-listener.closed

		began := time.Now()
		gone, leave := context.WithTimeout(t.Context(), acceptPause/2)
		defer leave()
		c.accept(gone, &lameListener{failures: 1, conns: listener.conns, closed: make(chan struct{})})
		require.Equal(t, acceptPause/2, time.Since(began))
	})
}
