package disk_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
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

// TestNoEndWithoutAWord: a tool whose log is off still says why it can't go on.
func TestNoEndWithoutAWord(t *testing.T) {
	if os.Getenv("IOCREDITS_TEST_FATAL") != "" {
		disk.Logger{To: slog.New(slog.DiscardHandler), Of: "the read models"}.Fatalf("write %s: %v", "MANIFEST", syscall.ENOSPC)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoEndWithoutAWord$") //nolint:gosec // this test itself
	child.Env = append(os.Environ(), "IOCREDITS_TEST_FATAL=1")
	out, err := child.CombinedOutput()
	var ended *exec.ExitError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, disk.ExitCode, ended.ExitCode())
	require.Equal(t, "iocredits: the read models can't go on: write MANIFEST: no space left on device\n", string(out))
}
