package transparency_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/transparency"
)

// TestTornLineOverTwoPages: a power cut before a line was synced may leave its
// second page, with the end of the line, and zeros for the part that is in the first.
// Nobody was ever given that checkpoint, so the file opens without it.
func TestTornLineOverTwoPages(t *testing.T) {
	dir := t.TempDir()
	f, err := transparency.OpenFile(dir)
	require.NoError(t, err)
	for i := range uint64(40) {
		require.NoError(t, f.Append(transparency.Signed{At: time.Unix(int64(i), 0).UTC(), Head: transparency.Head{Size: i + 1}, Checkpoint: "a checkpoint of some length\n"}))
	}
	require.NoError(t, f.Close())
	path := filepath.Join(dir, "checkpoints.ndjson")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	const page = 4096
	start := bytes.LastIndexByte(content[:page], '\n') + 1
	end := page + bytes.IndexByte(content[page:], '\n') + 1
	torn := bytes.Clone(content[:end])
	clear(torn[start:page])
	require.NoError(t, os.WriteFile(path, torn, 0o600))

	f, err = transparency.OpenFile(dir)
	require.NoError(t, err)
	last, exists := f.Last()
	require.True(t, exists)
	require.EqualValues(t, bytes.Count(content[:start], []byte("\n")), last.Size)
	require.NoError(t, f.Close())
}
