package main

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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

// TestAnAnswerLasts: the limit is for the answer alone, not for what is done with it.
func TestAnAnswerLasts(t *testing.T) {
	const limit = 500 * time.Millisecond
	dir := dataDir(t.TempDir())
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", dir.control())
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = bufio.NewReader(conn).ReadString('\n')
		_, _ = conn.Write([]byte(`{"dir":"copy"}` + "\n"))
		<-time.After(limit + limit/10)
		_ = conn.Close()
	}()
	answer, conn, err := askEngineWithin(t.Context(), limit, dir, controlRequest{Do: "copy"})
	require.NoError(t, err)
	require.Equal(t, "copy", answer.Dir)
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "it ends when the engine ends it")
	require.NoError(t, conn.Close())
}
