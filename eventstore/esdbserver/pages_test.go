package esdbserver_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// filling writes events of which the log has many pages by number and some by size.
func filling(t *testing.T, c *esdb.Client) {
	t.Helper()
	put(t, c, "many-0", esdb.NoStream{}, several(400)...)
	put(t, c, "many-1", esdb.NoStream{}, several(400)...)
	for i := range 4 {
		put(t, c, fmt.Sprint("big-", i), esdb.NoStream{}, esdb.EventData{EventType: "big", Data: make([]byte, 1536<<10)})
	}
}

// However far it goes and from where, a read of the log gives what the Store has there.
func TestReadAllInPages(t *testing.T) {
	store := &meter{Store: memory(t)}
	c := dial(t, "esdb://"+serveOn(t, store, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
	filling(t, c)
	_, err := store.Store.(eventstore.Scavenger).Scavenge(background(t), func(r *eventstore.Recorded) (bool, error) {
		return r.Stream == "many-1" && r.Revision%7 == 3 && r.Revision < 399, nil
	})
	require.NoError(t, err)
	var log []uint64
	for r, err := range store.Store.ReadAll(background(t), eventstore.BeforeFirst, eventstore.Forwards, 1<<20) {
		require.NoError(t, err)
		log = append(log, uint64(r.Position))
	}
	for _, count := range []int{1, 512, 513, 1 << 20} {
		for _, from := range []int{0, 300, len(log) - 1} {
			forwards, err := c.ReadAll(background(t), esdb.ReadAllOptions{From: at(log[from])}, uint64(count))
			require.Equal(t, log[from:min(len(log), from+count)], positions(drained(t, forwards, err)), "%d from %d", count, from)
			backwards, err := c.ReadAll(background(t), esdb.ReadAllOptions{From: at(log[from]), Direction: esdb.Backwards}, uint64(count))
			want := slices.Clone(log[max(0, from-count):from])
			slices.Reverse(want)
			require.Equal(t, want, positions(drained(t, backwards, err)), "%d before %d", count, from)
		}
	}
	require.LessOrEqual(t, store.largest.Load(), int64(4<<20+1536<<10), "one event above 4 MiB")
}

func positions(events []*esdb.RecordedEvent) []uint64 {
	all := []uint64{}
	for _, e := range events {
		all = append(all, e.Position.Commit)
	}
	return all
}

// A filter that takes few events reads through pages that have none.
func TestReadAllFiltered(t *testing.T) {
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open})
	filling(t, dial(t, "esdb://"+addr+"?tls=false"))
	for count, want := range map[uint64]int{1: 1, 3: 3, 100: 4} {
		call, err := streams.NewStreamsClient(connect(t, addr)).Read(background(t), &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
			CountOption:  &streams.ReadReq_Options_Count{Count: count},
			FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{Filter: &streams.ReadReq_Options_FilterOptions_EventType{
				EventType: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"big"}},
			}}},
		}})
		require.NoError(t, err)
		got := 0
		for ; ; got++ {
			if _, err = call.Recv(); err != nil {
				break
			}
		}
		require.ErrorContains(t, err, "EOF")
		require.Equal(t, want, got)
	}
}

// A client that stops reading holds up no scavenge.
func TestAScavengeWaitsForNoClient(t *testing.T) {
	store, c := open(t, esdbserver.Open)
	filling(t, c)
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	stalled, err := c.ReadAll(ctx, esdb.ReadAllOptions{}, 1<<62)
	require.NoError(t, err)
	defer stalled.Close()
	_, err = stalled.Recv()
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := store.(eventstore.Scavenger).Scavenge(ctx, func(r *eventstore.Recorded) (bool, error) { return r.Stream == "many-1" && r.Revision < 9, nil })
		done <- err
	}()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Error("the scavenge waits for a client that doesn't read")
	}
}
