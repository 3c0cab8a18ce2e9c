package transparency

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// powered is a file whose power can be cut: synced is what is there then.
type powered struct {
	handle
	now, synced []byte
	fail        error
	// room is how much of the next write fits; 0: all.
	room int
}

func (p *powered) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(p.now).ReadAt(b, at)
}

func (p *powered) WriteAt(b []byte, at int64) (int, error) {
	if p.room > 0 {
		p.now = append(p.now[:at], b[:p.room]...)
		return p.room, syscall.ENOSPC
	}
	p.now = append(p.now[:at], b...)
	return len(b), nil
}

func (p *powered) Truncate(size int64) error {
	p.now = p.now[:size]
	return nil
}

func (p *powered) Sync() error {
	if p.fail != nil {
		return p.fail
	}
	p.synced = bytes.Clone(p.now)
	return nil
}

// TestCheckpointIsDurableBeforeAnybodyHasIt: once Append has returned, a cut of the power
// takes nothing; otherwise the log could come back with another history than the one
// that somebody holds a checkpoint of, and nobody here would know.
func TestCheckpointIsDurableBeforeAnybodyHasIt(t *testing.T) {
	disk := new(powered)
	f := &File{f: disk}
	for size := uint64(1); size <= 3; size++ {
		given := Signed{Head: Head{Size: size}, Checkpoint: "a checkpoint\n"}
		require.NoError(t, f.Append(given))
		var kept []Signed
		require.NoError(t, scanSigned(bytes.NewReader(disk.synced), func(s Signed) error {
			kept = append(kept, s)
			return nil
		}))
		require.Len(t, kept, int(size))
		require.Equal(t, given, kept[size-1])
	}
}

// TestCheckpointThatWasNotSyncedIsNotGivenOut: whether it is on the disk nobody knows
// until the file is opened again, so nothing is written behind it either.
func TestCheckpointThatWasNotSyncedIsNotGivenOut(t *testing.T) {
	disk := new(powered)
	f := &File{f: disk}
	require.NoError(t, f.Append(Signed{Head: Head{Size: 1}}))
	disk.fail = errors.New("the disk is gone")
	require.ErrorIs(t, f.Append(Signed{Head: Head{Size: 2}}), disk.fail)
	written := len(disk.now)
	disk.fail = nil
	require.ErrorContains(t, f.Append(Signed{Head: Head{Size: 3}}), "the disk is gone")
	require.Len(t, disk.now, written)
	last, exists := f.Last()
	require.True(t, exists)
	require.EqualValues(t, 1, last.Size)
	_, exists, err := f.Covering(2)
	require.NoError(t, err)
	require.False(t, exists)
}

// TestCheckpointOnAFullDisk: what found no room is cut off again, and with room the next
// one is kept.
func TestCheckpointOnAFullDisk(t *testing.T) {
	disk := new(powered)
	f := &File{f: disk}
	require.NoError(t, f.Append(Signed{Head: Head{Size: 1}}))
	kept := len(disk.now)
	disk.room = 10
	require.ErrorIs(t, f.Append(Signed{Head: Head{Size: 2}}), syscall.ENOSPC)
	require.Len(t, disk.now, kept)
	disk.room = 0
	require.NoError(t, f.Append(Signed{Head: Head{Size: 3}}))
	last, end, err := lastSigned(bytes.NewReader(disk.synced), int64(len(disk.synced)))
	require.NoError(t, err)
	require.EqualValues(t, 3, last.Size)
	require.EqualValues(t, len(disk.synced), end)
}

// cached is a file as an operating system has it: after a sync that failed no other one
// writes what was written before.
type cached struct {
	powered
	written [][2]int
}

func (c *cached) WriteAt(b []byte, at int64) (int, error) {
	c.written = append(c.written, [2]int{int(at), int(at) + len(b)})
	c.now = append(c.now, make([]byte, max(0, int(at)+len(b)-len(c.now)))...)
	return copy(c.now[at:], b), nil
}

func (c *cached) Sync() error {
	written := c.written
	c.written = nil
	if c.fail != nil {
		return c.fail
	}
	c.synced = append(c.synced, make([]byte, max(0, len(c.now)-len(c.synced)))...)
	for _, w := range written {
		copy(c.synced[w[0]:w[1]], c.now[w[0]:w[1]])
	}
	return nil
}

// TestCheckpointOfAFailedSync: the next start reads it and gives it out. Then a cut of the
// power doesn't take it.
func TestCheckpointOfAFailedSync(t *testing.T) {
	disk := new(cached)
	f := &File{f: disk}
	require.NoError(t, f.Append(Signed{Head: Head{Size: 1}, Checkpoint: "one\n"}))
	disk.fail = errors.New("the disk is gone")
	require.ErrorIs(t, f.Append(Signed{Head: Head{Size: 2}, Checkpoint: "two\n"}), disk.fail)

	disk.fail = nil
	again := &File{f: disk}
	require.NoError(t, again.open(int64(len(disk.now))))
	given, exists := again.Last()
	require.True(t, exists)
	require.EqualValues(t, 2, given.Size)
	kept, _, err := lastSigned(bytes.NewReader(disk.synced), int64(len(disk.synced)))
	require.NoError(t, err)
	require.Equal(t, given, kept)
}
