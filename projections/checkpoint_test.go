package projections_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/projections"
)

// flushCuts cuts the power each time that a manifest was synced, which is all that
// makes what is in memtables last. What wasn't synced is gone: a cut depends on
// nothing but which batches were flushed together.
type flushCuts struct {
	*crashable
	mu   sync.Mutex
	cuts []*vfs.MemFS
}

func (c *flushCuts) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.crashable.Create(name, category)
	if err == nil && strings.HasPrefix(name, "views/") && strings.HasPrefix(c.PathBase(name), "MANIFEST") {
		return &manifest{f, c}, nil
	}
	return f, err
}

type manifest struct {
	vfs.File
	fs *flushCuts
}

func (m *manifest) Sync() error {
	err := m.File.Sync()
	clone := m.fs.cut(vfs.CrashCloneCfg{})
	m.fs.mu.Lock()
	defer m.fs.mu.Unlock()
	m.fs.cuts = append(m.fs.cuts, clone)
	return err
}

// TestCheckpointIsInTheBatchOfItsData: a flush keeps batches whole, and nothing else
// together. A memtable is full before a batch that doesn't fit, and one that is larger
// than half of it is flushed with those before and without those after it. So a
// checkpoint that is written before its data, or after it, would be cut off from it.
func TestCheckpointIsInTheBatchOfItsData(t *testing.T) {
	fs := &flushCuts{crashable: &crashable{MemFS: vfs.NewCrashableMem()}}
	const memTable = 32 << 10
	r := newRig(t, fs, func(o *projections.Options) { o.MemTableBytes = memTable })
	r.spend("a", 1)
	for round := range 40 {
		events := 25 // a few such batches fill a memtable
		if round >= 32 {
			events = 150
		}
		for range events {
			r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay, Description: "sealed"})
		}
		r.toEnd()
	}
	fs.mu.Lock()
	cuts := fs.cuts
	fs.mu.Unlock()
	require.Greater(t, len(cuts), 8)
	for _, cut := range cuts {
		afterCrash(t, cut)
	}
}
