package httpapi

import (
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipe is a connection of a server, and its peer. A pipe has no buffer: what isn't read isn't
// written.
func pipe(t *testing.T, patience time.Duration) (all *connections, c *connection, peer net.Conn) {
	t.Helper()
	inner, peer := net.Pipe()
	all = newConnections(nil, patience)
	c = all.take(inner)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.Empty(t, all.open)
		require.NoError(t, peer.Close())
	})
	return all, c, peer
}

// TestWhoReadsIsNeverCutOff: an answer of any length, a stream that is mostly silent, and
// whatever net/http does about deadlines in between.
func TestWhoReadsIsNeverCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = 30 * time.Second
		_, c, peer := pipe(t, patience)
		pauses := []time.Duration{0, 100 * time.Millisecond, 0, time.Second, 28 * time.Second, 29 * time.Second, 0}
		go func() {
			for _, pause := range pauses {
				<-time.After(pause)
				_, _ = io.ReadFull(peer, make([]byte, 1))
			}
		}()
		for range pauses {
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
		}
		<-time.After(time.Hour)
		go func() { _, _ = io.ReadFull(peer, make([]byte, 1)) }()
		_, err := c.Write([]byte("x"))
		require.NoError(t, err, "an old deadline is none")

		start := time.Now()
		_, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, patience, time.Since(start))
		_, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// TestAServerThatEndsHurries those that it waits for, also those who began before.
func TestAServerThatEndsHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, c, _ := pipe(t, time.Hour)
		start := time.Now()
		go func() {
			<-time.After(time.Second)
			all.hurry(20 * time.Second)
		}()
		_, err := c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 11*time.Second, time.Since(start))
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Hour)), "a piece of a long answer")
		_, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 21*time.Second, time.Since(start))
	})
}

// TestAServerThatEndsHurriesWhoSends the rest of a request: a body, or its header. What only
// hears whether the peer has gone is left alone.
func TestAServerThatEndsHurriesWhoSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, c, _ := pipe(t, time.Hour)
		inner, peer := net.Pipe()
		working := all.take(inner)
		defer func() { _, _ = working.Close(), peer.Close() }()
		heard := make(chan error, 1)
		go func() {
			_, err := working.Read(make([]byte, 1))
			heard <- err
		}()
		start := time.Now()
		require.NoError(t, c.SetReadDeadline(start.Add(30*time.Second)))
		go func() {
			<-time.After(time.Second)
			all.hurry(20 * time.Second)
		}()
		read := func() time.Duration {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return time.Since(start)
		}
		require.Equal(t, 11*time.Second, read())
		require.NoError(t, c.SetReadDeadline(start.Add(time.Hour)), "what may linger")
		require.Equal(t, 11*time.Second, read(), "the stop has one end for all")
		<-time.After(time.Hour)
		_, err := peer.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, <-heard)
	})
}
