package pebblestore_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// pausingFS stops a reader of a log after its n-th piece, as a scheduler may.
type pausingFS struct {
	vfs.FS
	at    *atomic.Int64
	pause *func()
}

func (fs pausingFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".log") || fs.at.Load() <= 0 {
		return f, err
	}
	return &pausingFile{f, fs}, nil
}

type pausingFile struct {
	vfs.File
	fs pausingFS
}

func (f *pausingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if f.fs.at.Add(-1) == 0 {
		(*f.fs.pause)()
	}
	return n, err
}

// TestCopyWhileLogIsWrittenOver: a copy that is made of a live store opens, wherever
// its reader of the log was held up. The log is written over an old one, so that the
// reader goes on past its end.
func TestCopyWhileLogIsWrittenOver(t *testing.T) {
	var at atomic.Int64
	pause := func() {}
	s, err := pebblestore.Open(t.TempDir()+"/log", pebblestore.Options{FS: pausingFS{vfs.Default, &at, &pause}, MinFreeBytes: 1}.MemTable(1<<20))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	revision := eventstore.NoStream
	write := func(bytes int) {
		for ; bytes > 0; bytes -= 3000 {
			a, err := s.Append(context.Background(), "s", revision, []eventstore.Event{{ID: uuid.New(), Type: "t", Data: make([]byte, 3000), Metadata: []byte("{}")}})
			require.NoError(t, err)
			revision = a.Revision
		}
	}
	write(6 << 20)
	pause = func() { write(50_000) }
	bad := 0
	for n := int64(1); n < 40; n++ {
		at.Store(n)
		dir := fmt.Sprintf("%s/%d", t.TempDir(), n)
		head, err := s.Head(context.Background())
		require.NoError(t, err)
		require.NoError(t, s.Checkpoint(dir))
		at.Store(0)
		c, err := pebblestore.Open(dir, pebblestore.Options{ReadOnly: true})
		if err != nil {
			bad++
			t.Logf("held up after piece %d: %v", n, err)
			continue
		}
		now, err := c.Head(context.Background())
		require.NoError(t, err)
		require.GreaterOrEqual(t, now, head)
		require.NoError(t, c.Close())
	}
	require.Zero(t, bad, "copies that don't open")
}
