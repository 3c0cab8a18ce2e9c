package esdbstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/esdbstore"
)

func several(n int) []eventstore.Event {
	all := make([]eventstore.Event, n)
	for i := range all {
		all[i] = eventstore.Event{ID: uuid.New(), Type: "tested", Data: fmt.Appendf(nil, `{"n":%d}`, i), Metadata: []byte(`{}`)}
	}
	return all
}

// While the cluster is out of reach calls fail at once, and Healthy says since
// when and why; when it is back everything goes on by itself.
func TestOutage(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	opts := impatient()
	opts.Patience = 2 * time.Second
	s, err := esdbstore.Open(context.Background(), r.connection(""), opts)
	require.NoError(t, err)
	f := follow(s)
	_, err = s.Append(context.Background(), "account-1", eventstore.NoStream, several(1))
	require.NoError(t, err)
	require.NoError(t, s.Healthy())

	r.stop(0)
	require.Eventually(t, func() bool { return s.Healthy() != nil }, patience, 5*time.Millisecond)
	_, err = s.Append(context.Background(), "account-1", 0, several(1))
	require.ErrorIs(t, err, eventstore.ErrUnavailable, "the first waits out the patience")
	for range 20 {
		start := time.Now()
		_, err = s.Append(context.Background(), "account-1", 0, several(1))
		require.ErrorIs(t, err, eventstore.ErrUnavailable)
		_, headErr := s.Head(context.Background())
		require.ErrorIs(t, headErr, eventstore.ErrUnavailable)
		require.Less(t, time.Since(start), opts.Patience, "the others don't")
	}
	require.ErrorIs(t, s.Healthy(), eventstore.ErrUnavailable)
	require.ErrorContains(t, s.Healthy(), "out of reach since 20")
	require.Eventually(t, func() bool { return strings.Contains(fmt.Sprint(s.Healthy()), "connection refused") }, patience, 5*time.Millisecond)

	r.start()
	require.Eventually(t, func() bool { return s.Healthy() == nil }, patience, 5*time.Millisecond)
	_, err = s.Append(context.Background(), "account-1", 0, several(1))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return f.count() == 2 }, patience, 5*time.Millisecond)
	f.stop()
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Healthy(), eventstore.ErrClosed)
}

// A connection that only stalls: every call ends by its deadline, and what
// became of the append is found out when bytes flow again.
func TestStall(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	p := newProxy(t, r.addr)
	opts := impatient()
	opts.Deadline = 1500 * time.Millisecond
	s, err := esdbstore.Open(context.Background(), r.connection(p.addr()), opts)
	require.NoError(t, err)
	release := p.stall()
	batch := several(3)
	for name, run := range map[string]func() error{
		"append": func() error {
			_, err := s.Append(context.Background(), "account-1", eventstore.NoStream, batch)
			return err
		},
		"read": func() error {
			for _, err := range s.ReadStream(context.Background(), "account-1", 0, eventstore.Forwards, 1) {
				return err
			}
			return nil
		},
		"head": func() error {
			_, err := s.Head(context.Background())
			return err
		},
		"snapshot": func() error {
			return s.SaveSnapshot(context.Background(), "account-1", eventstore.Snapshot{Fold: "1"})
		},
	} {
		start := time.Now()
		require.Error(t, run(), name)
		require.Less(t, time.Since(start), opts.Deadline+10*time.Second, "%s: it would wait twice as long for the cluster", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = s.Append(ctx, "account-1", eventstore.NoStream, batch)
	require.Error(t, err)
	require.Less(t, time.Since(start), opts.Deadline, "the caller's deadline counts too")
	release()
	require.Eventually(t, func() bool { // to connect again may take longer than one call has
		appended, err := s.Append(context.Background(), "account-1", eventstore.NoStream, batch)
		return err == nil && appended.Revision == 2
	}, patience, time.Millisecond)
	account := 0
	for _, e := range r.all() {
		if strings.HasPrefix(e.Stream, "account-") {
			account++
		}
	}
	require.Equal(t, 3, account)
	require.NoError(t, s.Close())
}

// Close ends what waits for a cluster that will not come back.
func TestCloseInAnOutage(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	opts := impatient()
	opts.CloseGrace = 200 * time.Millisecond
	s, err := esdbstore.Open(context.Background(), r.connection(""), opts)
	require.NoError(t, err)
	f := follow(s)
	r.stop(0)
	waiting := make(chan error, 1)
	go func() {
		_, err := s.Append(context.Background(), "account-1", eventstore.NoStream, several(1))
		waiting <- err
	}()
	start := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(start), opts.Patience)
	err = <-waiting
	require.True(t, errors.Is(err, eventstore.ErrClosed) || errors.Is(err, context.Canceled), "%v", err)
	f.stop()
}

// Snapshots live beside the log: no subscription and no read of the log has
// them, and the cluster is told to keep only the newest.
func TestSnapshotsAreNoPartOfTheLog(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	s := r.open(t, "")
	ctx := context.Background()
	_, err := s.Append(ctx, "account-1", eventstore.NoStream, several(1))
	require.NoError(t, err)
	for revision := range int64(300) {
		require.NoError(t, s.SaveSnapshot(ctx, "account-1", eventstore.Snapshot{Revision: revision, Fold: "1", Data: make([]byte, 100)}))
	}
	second, err := s.Append(ctx, "account-1", 0, several(1))
	require.NoError(t, err)
	f := follow(s)
	require.Eventually(t, func() bool { return f.count() >= 2 }, patience, 5*time.Millisecond)
	for _, e := range f.stop() {
		require.Equal(t, "account-1", e.Stream)
	}
	n := 0
	for e, err := range s.ReadAll(ctx, eventstore.EndOfLog, eventstore.Backwards, 10) {
		require.NoError(t, err)
		require.Equal(t, "account-1", e.Stream)
		n++
	}
	require.Equal(t, 2, n)
	require.NoError(t, s.SaveSnapshot(ctx, "account-1", eventstore.Snapshot{Revision: 300, Fold: "1"}))
	head, err := s.Head(ctx)
	require.NoError(t, err)
	require.Equal(t, second.Positions[0], head, "the head is what a subscription reaches")
	metadata := 0
	for e, err := range s.ReadStream(ctx, "$$"+eventstore.SnapshotStream("account-1"), 0, eventstore.Forwards, 1) {
		require.NoError(t, err)
		require.JSONEq(t, `{"$maxCount":1}`, string(e.Data))
		metadata++
	}
	require.Equal(t, 1, metadata)
	require.NoError(t, s.Close())
}

// A record that isn't ours, with everything unusual about it, passes through.
func TestForeignRecords(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	s := r.open(t, "")
	odd := []eventstore.Event{
		{ID: uuid.Nil, Type: "$odd"},
		{ID: uuid.Max, Type: "日本\u202e", Data: []byte{0, 0xff}, Metadata: []byte("not JSON")},
	}
	_, err := r.store.Append(context.Background(), "$system", eventstore.NoStream, odd)
	require.NoError(t, err)
	f := follow(s)
	require.Eventually(t, func() bool { return f.count() == 2 }, patience, 5*time.Millisecond)
	for i, e := range f.stop() {
		require.Equal(t, odd[i].ID, e.ID)
		require.Equal(t, odd[i].Type, e.Type)
		require.Equal(t, string(odd[i].Data), string(e.Data))
		require.Equal(t, string(odd[i].Metadata), string(e.Metadata))
	}
	require.NoError(t, s.Close())
}

// An append that the cluster finds too big is the caller's mistake, and known
// not to be written.
func TestAnAppendThatIsTooBig(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	r.stop(0)
	r.opts.MaxAppendBytes = 1 << 20
	r.opts.Mode = esdbserver.Open
	r.start()
	s := r.open(t, "")
	batch := several(2)
	batch[0].Data = make([]byte, 1<<20)
	_, err := s.Append(context.Background(), "account-1", eventstore.NoStream, batch)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "1048576")
	require.Empty(t, r.all())
	require.NoError(t, s.Close())
}
