package pebblestore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// A crowd shares its groups; few wait for nothing but their syncs. Time is the
// bubble's: it passes only while everybody waits.
func TestACrowdSharesItsGroups(t *testing.T) {
	const each = 20
	for _, writers := range []int{1, 11, 32, 64, 200} {
		t.Run(fmt.Sprint(writers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				groups, took := groupsOf(t, writers, each)
				t.Logf("%d groups in %s", groups, took)
				least := 3 * each * syncTime // the one that runs, and its own
				if writers < 12 {
					require.LessOrEqual(t, took, least)
				} else {
					require.LessOrEqual(t, took, least+20*time.Millisecond, "its last ones wait for those who have ended")
					require.LessOrEqual(t, groups, 4*each, "a quarter of the crowd is a group")
				}
			})
		})
	}
}

// What is left of a crowd waits at most two milliseconds for those who don't come
// again, and after some groups for nobody.
func TestTheRestOfACrowdWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "log", pebblestore.Options{FS: slowSyncs{vfs.NewMem()}})
		var all sync.WaitGroup
		for w := range 64 {
			all.Go(func() {
				for revision := range int64(3) {
					appendOne(t, s, fmt.Sprint("s", w), revision-1)
				}
			})
		}
		all.Wait()
		const alone = 40
		var took [alone]time.Duration
		for i := range took {
			start := time.Now()
			appendOne(t, s, "alone", int64(i)-1)
			took[i] = time.Since(start)
			require.LessOrEqual(t, took[i], 2*time.Millisecond+2*syncTime, "append %d", i)
		}
		require.Greater(t, slices.Max(took[:]), 2*syncTime, "the crowd was not waited for")
		require.LessOrEqual(t, took[alone-1], syncTime)
		require.NoError(t, s.Close())
	})
}

func appendOne(t *testing.T, s *pebblestore.Store, stream string, expected int64) {
	if _, err := s.Append(context.Background(), stream, expected, []eventstore.Event{newEvent(10)}); err != nil {
		t.Error(err)
	}
}

// groupsOf is how many groups some writers had, of whom each appends so often, and how
// long they took.
func groupsOf(t *testing.T, writers, each int) (groups int, took time.Duration) {
	appends := 0
	s := open(t, "log", pebblestore.Options{FS: slowSyncs{vfs.NewMem()}, OnCommit: func(c pebblestore.CommitStats) {
		groups++
		appends += c.Appends
	}})
	start := time.Now()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for revision := range int64(each) {
				appendOne(t, s, fmt.Sprint("s", w), revision-1)
			}
		})
	}
	all.Wait()
	took = time.Since(start)
	require.NoError(t, s.Close())
	require.Equal(t, writers*each, appends)
	return groups, took
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
