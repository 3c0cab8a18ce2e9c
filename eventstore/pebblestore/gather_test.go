package pebblestore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// Groups of a crowd begin a millisecond after each other; few wait for nothing but
// their syncs. Time is the bubble's: it passes only while everybody waits.
func TestACrowdSharesItsGroups(t *testing.T) {
	const each = 20
	for _, writers := range []int{1, 23, 64, 200} {
		t.Run(fmt.Sprint(writers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, took := groupsOf(t, writers, each)
				t.Logf("%d groups in %s", len(began), took)
				if writers < 24 {
					require.LessOrEqual(t, took, 3*each*syncTime) // the one that runs, and its own
					return
				}
				first := began[0]
				for i := 1; i < len(began); i++ {
					if began[i-1].Sub(first) >= time.Millisecond { // before that, nobody knows of a crowd
						require.GreaterOrEqual(t, began[i].Sub(began[i-1]), time.Millisecond, "group %d", i)
					}
				}
				require.LessOrEqual(t, took, (each+5)*time.Millisecond)
			})
		})
	}
}

// groupsOf is when the groups of some writers began, of whom each appends so often,
// and how long they took.
func groupsOf(t *testing.T, writers, each int) (began []time.Time, took time.Duration) {
	appends := 0
	s := open(t, "log", pebblestore.Options{FS: slowSyncs{vfs.NewMem()}, OnCommit: func(c pebblestore.CommitStats) {
		began = append(began, time.Now().Add(-c.Wait))
		appends += c.Appends
	}})
	start := time.Now()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for revision := range int64(each) {
				if _, err := s.Append(context.Background(), fmt.Sprint("s", w), revision-1, []eventstore.Event{newEvent(10)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	took = time.Since(start)
	require.NoError(t, s.Close())
	require.Equal(t, writers*each, appends)
	return began, took
}

// slowSyncs is a disk whose syncs take as long as a good one's.
type slowSyncs struct{ vfs.FS }

const syncTime = 200 * time.Microsecond

func (fs slowSyncs) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return slowFile{f}, err
}

type slowFile struct{ vfs.File }

func (f slowFile) SyncData() error {
	<-time.After(syncTime)
	return f.File.SyncData()
}
