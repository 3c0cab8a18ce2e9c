package esdbstore_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"math"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/storetest"
)

// The suite on a server that others use too: the one at ESDB_URL, a real one for
// instance, or else one of ours with another tenant's events in it.
func TestSharedServer(t *testing.T) {
	noLeaks(t)
	connection, most := os.Getenv("ESDB_URL"), 768<<10 // a server's default is 1 MiB
	if connection == "" {
		most = 0
		if testing.Short() {
			t.Skip("without ESDB_URL it repeats TestStore")
		}
		r := newRig(t, false)
		connection = r.connection("")
		_, err := r.store.Append(context.Background(), "noise", eventstore.NoStream, several(2_000))
		require.NoError(t, err)
	}
	storetest.Run(t, func(t *testing.T) storetest.Instance {
		prefix, long := "storetest-"+uuid.NewString()[:8]+"-", &sync.Map{}
		open := func(t *testing.T) eventstore.Store {
			s, err := esdbstore.Open(context.Background(), connection, impatient())
			require.NoError(t, err)
			return &tenant{Store: s, prefix: prefix, long: long}
		}
		return storetest.Instance{Store: open(t), Reopen: open, Cluster: true, MaxAppendBytes: most}
	})
}

// tenant sees only its own streams of a store, and those as if they were all.
type tenant struct {
	*esdbstore.Store
	prefix string
	// long has the names that don't fit behind the prefix, by what stands for them.
	long *sync.Map
}

func (s *tenant) name(stream string) string {
	if stream == "" || len(s.prefix)+len(stream) <= eventstore.MaxStreamName {
		if stream == "" {
			return ""
		}
		return s.prefix + stream
	}
	if len(stream) > eventstore.MaxStreamName {
		return stream // the store refuses it
	}
	digest := sha256.Sum256([]byte(stream))
	short := s.prefix + hex.EncodeToString(digest[:])
	s.long.Store(short, stream)
	return short
}

// own gives an event its name in the tenant's eyes; false: it is another's.
func (s *tenant) own(r *eventstore.Recorded) bool {
	if name, ok := s.long.Load(r.Stream); ok {
		r.Stream = name.(string)
		return true
	}
	name, ours := strings.CutPrefix(r.Stream, s.prefix)
	r.Stream = name
	return ours
}

func (s *tenant) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	appended, err := s.Store.Append(ctx, s.name(stream), expected, events)
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		conflict.Stream = stream
	}
	return appended, err
}

func (s *tenant) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.only(s.Store.ReadStream(ctx, s.name(stream), from, d, limit), limit)
}

func (s *tenant) ReadAll(ctx context.Context, from eventstore.Position, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.only(s.Store.ReadAll(ctx, from, d, math.MaxInt), limit)
}

func (s *tenant) only(all iter.Seq2[eventstore.Recorded, error], limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range all {
			if err == nil && (limit == 0 || !s.own(&r)) {
				continue
			}
			if limit--; !yield(r, err) || limit == 0 {
				return
			}
		}
	}
}

func (s *tenant) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		for batch, err := range s.Store.Subscribe(ctx, after) {
			var ours []eventstore.Recorded
			for _, r := range batch {
				if s.own(&r) {
					ours = append(ours, r)
				}
			}
			if (len(ours) > 0 || err != nil) && !yield(ours, err) {
				return
			}
		}
	}
}

func (s *tenant) Head(ctx context.Context) (eventstore.Position, error) {
	for r, err := range s.ReadAll(ctx, eventstore.EndOfLog, eventstore.Backwards, 1) {
		return r.Position, err
	}
	return eventstore.BeforeFirst, nil
}

func (s *tenant) SaveSnapshot(ctx context.Context, stream string, snapshot eventstore.Snapshot) error {
	return s.Store.SaveSnapshot(ctx, s.name(stream), snapshot)
}

func (s *tenant) LoadSnapshot(ctx context.Context, stream string) (eventstore.Snapshot, bool, error) {
	return s.Store.LoadSnapshot(ctx, s.name(stream))
}
