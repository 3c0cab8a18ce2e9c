package transparency

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

// countingFile counts what is read of a file.
type countingFile struct {
	handle
	read int
}

func (f *countingFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.handle.ReadAt(p, at)
	f.read += n
	return n, err
}

// kept is a file with checkpoints, with lines of any length, and what they are.
func kept(t *testing.T, n int) (dir string, all []Signed) {
	t.Helper()
	dir = t.TempDir()
	f, err := OpenFile(dir)
	require.NoError(t, err)
	f.f = unsynced{f.f.(*os.File)}
	rng, size := rand.New(rand.NewPCG(3, 4)), uint64(0)
	for i := range n {
		size += 1 + rng.Uint64N(100)
		s := Signed{
			At: time.Unix(int64(i), 0).UTC(), Position: eventstore.Position(2 * size), Head: Head{Size: size},
			Checkpoint: strings.Repeat("c", 100+rng.IntN(10)*rng.IntN(1000)),
		}
		require.NoError(t, f.Append(s))
		all = append(all, s)
	}
	require.NoError(t, f.Close())
	return dir, all
}

// unsynced is a file of a test that cuts no power.
type unsynced struct{ *os.File }

func (unsynced) Sync() error { return nil }

// TestCoveringIsTheOldest holds every answer to a walk over all checkpoints.
func TestCoveringIsTheOldest(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 300} {
		dir, all := kept(t, n)
		f, err := OpenFile(dir)
		require.NoError(t, err)
		last, exists := f.Last()
		require.Equal(t, n > 0, exists)
		largest := uint64(0)
		if n > 0 {
			require.Equal(t, all[n-1], last)
			largest = last.Size
		}
		for size := uint64(0); size <= largest+2; size += 1 + size%3 {
			var want Signed
			found := false
			for i := len(all) - 1; i >= 0 && all[i].Size >= size; i-- {
				want, found = all[i], true
			}
			got, exists, err := f.Covering(size)
			if err != nil || found != exists || want != got { // thousands of require's take seconds
				t.Fatalf("%d of %d: %v, %v, %v, and not %v", size, n, exists, got, err, want)
			}
		}
		require.NoError(t, f.Close())
	}
}

// TestALongFileIsNotRead: neither a start nor a question reads all of it.
func TestALongFileIsNotRead(t *testing.T) {
	dir, all := kept(t, 3000)
	path := filepath.Join(dir, fileName)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	disk, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, disk.Close()) }()
	counting := &countingFile{handle: disk}
	last, end, err := lastSigned(counting, int64(len(content)))
	require.NoError(t, err)
	require.Equal(t, all[2999], last)
	require.EqualValues(t, len(content), end)
	require.Less(t, counting.read, 10*lineWindow)
	counting.read = 0
	got, exists, err := covering(counting, all[1234].Size, end)
	require.NoError(t, err)
	require.True(t, exists)
	require.Equal(t, all[1234], got)
	require.Less(t, counting.read, len(content)/10)
}

// TestEveryTornEnd: whatever of the last line a crash left, or zeros in its place,
// the file opens with the checkpoint before it; what isn't a crash's work is said.
func TestEveryTornEnd(t *testing.T) {
	dir, all := kept(t, 5)
	path := filepath.Join(dir, fileName)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	start := bytes.LastIndexByte(content[:len(content)-1], '\n') + 1
	opens := func(text []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, text, 0o600))
		f, err := OpenFile(dir)
		require.NoError(t, err)
		last, exists := f.Last()
		require.True(t, exists)
		require.Equal(t, all[3], last)
		require.NoError(t, f.Close())
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content[:start], left)
	}
	for cut := start; cut < len(content); cut += 1 + (len(content)-start)/16 {
		opens(content[:cut])
		begin, end := bytes.Clone(content), bytes.Clone(content)
		clear(begin[start : cut+1])
		clear(end[cut:])
		if cut+1 < len(content) {
			opens(begin)
		}
		opens(end)
	}
	for at, damaged := range map[int][]byte{
		start: append(bytes.Clone(content[:start]), "{}x\n"...), 0: []byte("{}x\n"),
		len(content): append(bytes.Clone(content), "{\x00}\n{"...),
	} {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		_, err := OpenFile(dir)
		require.ErrorContains(t, err, fmt.Sprintf("damaged checkpoint at byte %d", at))
	}
	require.NoError(t, os.WriteFile(path, []byte("\x00\n"), 0o600))
	f, err := OpenFile(dir)
	require.NoError(t, err)
	_, exists := f.Last()
	require.False(t, exists)
	require.NoError(t, f.Close())
}

// TestADamagedCheckpointIsSaid by who comes upon it.
func TestADamagedCheckpointIsSaid(t *testing.T) {
	line := []byte("{\"size\":1x}\n")
	_, _, err := covering(bytes.NewReader(line), 1, int64(len(line)))
	require.ErrorContains(t, err, "damaged checkpoint at byte 0")
	_, _, err = lineAround(bytes.NewReader(line), 0, 3, 5)
	require.ErrorContains(t, err, "no end")
	_, _, err = lastSigned(failingReader{}, 7)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, io.ErrUnexpectedEOF }
