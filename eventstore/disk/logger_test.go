package disk_test

import (
	"bytes"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/disk"
)

// TestWhatFailsWithoutEndIsToldNowAndThen: Pebble tries a flush on a full disk again at
// once, for as long as the disk is full.
func TestWhatFailsWithoutEndIsToldNowAndThen(t *testing.T) { synctest.Test(t, toldNowAndThen) }

func toldNowAndThen(t *testing.T) {
	var out bytes.Buffer
	l := disk.Logger{To: slog.New(slog.NewTextHandler(&out, nil)), Of: "the log"}
	listener := l.Damage(func() {})
	lines := func() int { return strings.Count(out.String(), "\n") }
	for range 1_000 {
		listener.BackgroundError(syscall.ENOSPC)
	}
	require.Equal(t, 1, lines(), out.String())
	<-time.After(time.Minute)
	listener.BackgroundError(syscall.ENOSPC)
	require.Equal(t, 2, lines(), out.String())
	require.Contains(t, out.String(), "failures=1000")
}
