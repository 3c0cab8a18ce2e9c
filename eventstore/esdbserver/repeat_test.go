package esdbserver_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// What a writer at any revision is told who repeats events with others than before.
func TestARepeatPutTogetherAnew(t *testing.T) {
	a, b, x := data(1), data(2), data(3)
	const wrong = -1
	for name, c := range map[string]struct {
		before [][]esdb.EventData
		append []esdb.EventData
		answer int // revision
		events int // in the stream then
	}{
		"one more":         {[][]esdb.EventData{{a}}, []esdb.EventData{a, b}, wrong, 1},
		"another second":   {[][]esdb.EventData{{a, b}}, []esdb.EventData{a, x}, wrong, 2},
		"another first":    {[][]esdb.EventData{{a, b}}, []esdb.EventData{x, b}, 3, 4},
		"the first":        {[][]esdb.EventData{{a, b}}, []esdb.EventData{a}, 0, 2},
		"the second":       {[][]esdb.EventData{{a, b}}, []esdb.EventData{b}, 1, 2},
		"together":         {[][]esdb.EventData{{a}, {b}}, []esdb.EventData{a, b}, 1, 2},
		"apart before":     {[][]esdb.EventData{{a}, {x}, {b}}, []esdb.EventData{a, b}, 2, 3},
		"the other way":    {[][]esdb.EventData{{a}, {x}, {b}}, []esdb.EventData{b, a}, 0, 3},
		"longer than that": {[][]esdb.EventData{{a}}, append([]esdb.EventData{a}, several(99)...), wrong, 1},
	} {
		for how, expected := range map[string]esdb.ExpectedRevision{"any": esdb.Any{}, "exists": esdb.StreamExists{}} {
			t.Run(name+"/"+how, func(t *testing.T) {
				store, c1 := open(t, esdbserver.Open)
				positions := map[int]uint64{}
				for _, batch := range c.before {
					r := put(t, c1, "s", esdb.Any{}, batch...)
					positions[int(r.NextExpectedVersion)] = r.CommitPosition
				}
				afresh := dial(t, "esdb://"+serveOn(t, store, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
				for _, client := range []*esdb.Client{c1, afresh} {
					r, err := client.AppendToStream(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: expected}, c.append...)
					if c.answer == wrong {
						requireCode(t, esdb.ErrorCodeWrongExpectedVersion, err)
					} else {
						require.NoError(t, err)
						require.EqualValues(t, c.answer, r.NextExpectedVersion)
						if p, known := positions[c.answer]; known {
							require.Equal(t, p, r.CommitPosition)
						}
					}
					require.Len(t, read(t, c1, "s", esdb.ReadStreamOptions{}, 1<<20), c.events)
				}
			})
		}
	}
}

// meter counts the events that are read of a Store's streams, and the bytes that were
// read of its log at once.
type meter struct {
	eventstore.Store
	events  atomic.Int64
	largest atomic.Int64
}

func (m *meter) ReadStream(ctx context.Context, stream string, from int64, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range m.Store.ReadStream(ctx, stream, from, direction, limit) {
			m.events.Add(1)
			if !yield(r, err) {
				return
			}
		}
	}
}

func (m *meter) ReadAll(ctx context.Context, from eventstore.Position, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		bytes := 0
		for r, err := range m.Store.ReadAll(ctx, from, direction, limit) {
			bytes += len(r.Data)
			m.largest.Store(max(m.largest.Load(), int64(bytes)))
			if !yield(r, err) {
				return
			}
		}
	}
}

// An append at any revision reads back the newest events once, not each time, and again
// only after somebody else wrote to the stream.
func TestAnAppendReadsBackOnce(t *testing.T) {
	store := &meter{Store: memory(t)}
	c := dial(t, "esdb://"+serveOn(t, store, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
	reads := func(stream string, events ...esdb.EventData) int64 {
		before := store.events.Load()
		put(t, c, stream, esdb.Any{}, events...)
		return store.events.Load() - before
	}
	aside := func(stream string, revision int64) {
		_, err := store.Append(background(t), stream, revision, []eventstore.Event{{ID: uuid.New(), Type: "tested"}})
		require.NoError(t, err)
	}
	require.EqualValues(t, 0, reads("s", several(100)...))
	require.EqualValues(t, 1, reads("s", data(1)), "the last event, where the stream ends")
	require.EqualValues(t, 1, reads("s", data(1)))
	put(t, c, "s", esdb.Revision(101), data(1))
	require.EqualValues(t, 1, reads("s", data(1)), "after one at an exact revision")
	aside("s", 103)
	require.EqualValues(t, 1+64, reads("s", data(1)), "after one around the server")
	require.EqualValues(t, 1, reads("s", data(1)))
	require.EqualValues(t, 1+80, reads("s", several(40)...), "more must be known of more")
	require.EqualValues(t, 1, reads("s", several(40)...))
	require.EqualValues(t, 1, reads("s", data(1)))
}

// Repeats are found as they would be by reading back every time, whoever writes to the
// stream beside the server.
func TestRepeatsBesideAnotherWriter(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	store, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open})
	c := dial(t, "esdb://"+addr+"?tls=false")
	written := map[string][]uuid.UUID{}
	for range 800 {
		stream := fmt.Sprint([]string{"s", "account-"}[random.IntN(2)], random.IntN(3))
		ids := written[stream]
		if random.IntN(3) == 0 { // beside it, perhaps the same once more
			id := uuid.New()
			if len(ids) > 0 && random.IntN(4) == 0 {
				id = ids[random.IntN(len(ids))]
			}
			_, err := store.Append(background(t), stream, int64(len(ids))-1, []eventstore.Event{{ID: id, Type: "tested"}})
			require.NoError(t, err)
			written[stream] = append(ids, id)
			continue
		}
		events, repeats := several(1+random.IntN(3)), len(ids) > 0 && random.IntN(2) == 0
		if random.IntN(4) == 0 {
			put(t, c, stream, exactly(len(ids)-1), events...)
			for _, e := range events {
				ids = append(ids, e.EventID)
			}
			written[stream] = ids
			continue
		}
		at := len(ids) - 1 - random.IntN(64) // what is found further back depends on who wrote it
		for i := range events {
			if repeats && at+i >= 0 && at+i < len(ids) && random.IntN(8) > 0 && !slices.ContainsFunc(events, has(ids[at+i])) {
				events[i].EventID = ids[at+i]
			}
		}
		ids, answer := modelled(ids, events)
		r, err := c.AppendToStream(background(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events...)
		if answer < 0 {
			requireCode(t, esdb.ErrorCodeWrongExpectedVersion, err)
		} else {
			require.NoError(t, err)
			require.EqualValues(t, answer, r.NextExpectedVersion)
		}
		written[stream] = ids
	}
	for stream, ids := range written {
		var got []uuid.UUID
		for _, e := range read(t, c, stream, esdb.ReadStreamOptions{}, 1<<20) {
			got = append(got, e.EventID)
		}
		require.Equal(t, ids, got)
	}
}

// A writer whose answer was lost may repeat the append when others have written thousands.
func TestARepeatAfterManyOthers(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	var batches [][]esdb.EventData
	for range 120 {
		batches = append(batches, several(100))
		put(t, c, "s", esdb.Any{}, batches[len(batches)-1]...)
	}
	for i, batch := range batches[80:] {
		for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.StreamExists{}} {
			require.EqualValues(t, 100*(80+i+1)-1, put(t, c, "s", expected, batch...).NextExpectedVersion)
			require.EqualValues(t, 100*(80+i), put(t, c, "s", expected, batch[0]).NextExpectedVersion)
		}
	}
	last := read(t, c, "s", esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
	require.EqualValues(t, 100*120-1, last[0].EventNumber)
}

// A long append is looked for twice as far back as it is long, and in the log where fewer
// events than that are remembered.
func TestARepeatOfALongAppend(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	long := several(3000)
	var next uint64
	for i := range 55 { // of what they are 8,192 and more, the older half is forgotten
		next = put(t, c, "s", esdb.Any{}, several(100)...).NextExpectedVersion
		if i == 31 {
			put(t, c, "s", esdb.Any{}, long...)
		}
	}
	require.EqualValues(t, 8499, next)
	require.EqualValues(t, 6199, put(t, c, "s", esdb.Any{}, long...).NextExpectedVersion)
}

func exactly(revision int) esdb.ExpectedRevision {
	if revision < 0 {
		return esdb.NoStream{}
	}
	return esdb.Revision(uint64(revision))
}

func has(id uuid.UUID) func(esdb.EventData) bool {
	return func(e esdb.EventData) bool { return e.EventID == id }
}

// modelled is what an append at any revision does to a stream of these ids, and the
// revision that is answered; -1: the wrong version.
func modelled(ids []uuid.UUID, events []esdb.EventData) ([]uuid.UUID, int) {
	recent := map[uuid.UUID]int{}
	for i := max(0, len(ids)-64); i < len(ids); i++ {
		recent[ids[i]] = i
	}
	_, repeats := recent[events[0].EventID]
	for i, e := range events {
		revision, found := recent[e.EventID]
		switch {
		case !repeats:
			ids = append(ids, e.EventID)
		case !found:
			return ids, -1
		case i == len(events)-1:
			return ids, revision
		}
	}
	return ids, len(ids) - 1
}
