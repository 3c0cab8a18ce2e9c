package esdbserver_test

import (
	"context"
	"errors"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// refuser is a Store that answers the next append to a stream with an error, and
// writes it first if its outcome is to be unknown.
type refuser struct {
	eventstore.Store
	stream string
	err    error
	writes bool
}

func (r *refuser) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if stream != r.stream || r.err == nil {
		return r.Store.Append(ctx, stream, expected, events)
	}
	err := r.err
	r.err = nil
	if r.writes {
		if _, err := r.Store.Append(ctx, stream, expected, events); err != nil {
			return eventstore.Appended{}, err
		}
	}
	return eventstore.Appended{}, err
}

// A stream is as deleted after an append that was refused as before it.
func TestARefusedAppendLeavesADeletedStreamDeleted(t *testing.T) {
	twin := data(2)
	for name, try := range map[string]struct {
		events []esdb.EventData
		store  error
		says   string
	}{
		"two events of one id":  {[]esdb.EventData{twin, twin}, nil, "two events have one id"},
		"the store has no room": {[]esdb.EventData{twin}, eventstore.ErrUnavailable, "unavailable"},
		"the store refuses it":  {[]esdb.EventData{twin}, eventstore.ErrInvalid, "invalid append"},
	} {
		for _, expected := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Any{}, esdb.Revision(1)} {
			t.Run(name, func(t *testing.T) {
				store := &refuser{Store: memory(t), stream: "s"}
				c := dial(t, "esdb://"+serveOn(t, store, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
				put(t, c, "s", esdb.NoStream{}, several(2)...)
				require.NoError(t, softDelete(background(t), c, "s", esdb.Any{}))
				store.err = try.store
				require.ErrorContains(t, appendError(t, c, "s", expected, try.events...), try.says)
				requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "s"))
				if try.store == nil {
					require.Equal(t, []uint64{0}, numbers(read(t, c, "$$s", esdb.ReadStreamOptions{}, 10)), "at no time was it there")
				}
				require.EqualValues(t, 2, put(t, c, "s", esdb.NoStream{}, data(3)).NextExpectedVersion)
				require.Equal(t, []uint64{2}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 10)))
			})
		}
	}
}

// What may have been written is not hidden: its writer will repeat it, and be told
// that it is there.
func TestAnAppendOfUnknownOutcomeIsNotHidden(t *testing.T) {
	store := &refuser{Store: memory(t), stream: "s", writes: true}
	c := dial(t, "esdb://"+serveOn(t, store, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
	put(t, c, "s", esdb.NoStream{}, data(0))
	require.NoError(t, softDelete(background(t), c, "s", esdb.Any{}))
	store.err = errors.New("the disk is slow")
	event := data(1)
	require.ErrorContains(t, appendError(t, c, "s", esdb.Revision(0), event), "the disk is slow")
	require.EqualValues(t, 1, put(t, c, "s", esdb.Revision(0), event).NextExpectedVersion)
	require.Equal(t, []uint64{1}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 10)))
}

// With a stream its metadata is gone: it is neither read nor written any more.
func TestATombstoneEndsTheMetadataToo(t *testing.T) {
	store, c := open(t, esdbserver.Open)
	ctx := background(t)
	set := func(expected esdb.ExpectedRevision) error {
		_, err := c.SetStreamMetadata(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: expected}, esdb.StreamMetadata{})
		return err
	}
	put(t, c, "s", esdb.NoStream{}, data(0))
	require.NoError(t, set(esdb.NoStream{}))
	_, err := c.TombstoneStream(ctx, "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	before, err := store.Head(ctx)
	require.NoError(t, err)
	for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.StreamExists{}, esdb.Revision(0)} {
		requireCode(t, esdb.ErrorCodeStreamDeleted, set(expected))
	}
	_, err = c.GetStreamMetadata(ctx, "s", esdb.ReadStreamOptions{})
	requireCode(t, esdb.ErrorCodeStreamDeleted, errors.Unwrap(err))
	requireCode(t, esdb.ErrorCodeStreamDeleted, readError(t, c, "$$s"))
	after, err := store.Head(ctx)
	require.NoError(t, err)
	require.Equal(t, before, after)

	_, err = c.TombstoneStream(ctx, "never", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.NoStream{}})
	require.NoError(t, err)
	requireCode(t, esdb.ErrorCodeStreamDeleted, readError(t, c, "$$never"))
}

// Metadata goes with its stream, never alone: its tombstone took back the soft delete
// of the stream. And what has no name is neither deleted nor read.
func TestWhatCanNotBeDeleted(t *testing.T) {
	store, c := open(t, esdbserver.Open)
	ctx := background(t)
	put(t, c, "s", esdb.NoStream{}, several(2)...)
	require.NoError(t, softDelete(ctx, c, "s", esdb.Any{}))
	before, err := store.Head(ctx)
	require.NoError(t, err)
	for _, stream := range []string{"", "$$", "$$s", "$$never", "$$$$s", "$$account-1"} {
		require.Equal(t, codes.InvalidArgument, status.Code(softDelete(ctx, c, stream, esdb.Any{})), stream)
		_, err := c.TombstoneStream(ctx, stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
		require.Equal(t, codes.InvalidArgument, status.Code(err), stream)
	}
	after, err := store.Head(ctx)
	require.NoError(t, err)
	require.Equal(t, before, after)
	requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "s"))

	require.Equal(t, codes.InvalidArgument, status.Code(readError(t, c, "")))
	s, err := c.SubscribeToStream(ctx, "", esdb.SubscribeToStreamOptions{})
	require.Nil(t, s)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// Who expects a stream that exists has one with metadata only, and is told of a soft
// delete; who expects none, or any, begins the stream anew.
func TestAStreamThatExists(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	ctx, exists := background(t), esdb.StreamExists{}
	bury := func(stream string) error {
		_, err := c.TombstoneStream(ctx, stream, esdb.TombstoneStreamOptions{ExpectedRevision: exists})
		return err
	}
	describe := func(stream string) {
		_, err := c.SetStreamMetadata(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, esdb.StreamMetadata{})
		require.NoError(t, err)
	}
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, appendError(t, c, "never", exists, data(1)))
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, appendError(t, c, "never", exists))
	require.ErrorContains(t, softDelete(ctx, c, "never", exists), "wrong expected version")
	require.ErrorContains(t, bury("never"), "wrong expected version")

	for _, stream := range []string{"m1", "m2", "m3"} {
		describe(stream)
	}
	require.NoError(t, appendError(t, c, "m1", exists))
	require.EqualValues(t, 0, put(t, c, "m1", exists, data(1)).NextExpectedVersion)
	require.NoError(t, softDelete(ctx, c, "m2", exists))
	require.NoError(t, bury("m3"))

	events := several(2)
	put(t, c, "s", esdb.NoStream{}, events...)
	require.NoError(t, softDelete(ctx, c, "s", exists))
	for name, err := range map[string]error{
		"append": appendError(t, c, "s", exists, data(1)), "repeat": appendError(t, c, "s", exists, events...),
		"nothing": appendError(t, c, "s", exists), "delete": errors.Unwrap(softDelete(ctx, c, "s", exists)), "tombstone": errors.Unwrap(bury("s")),
	} {
		t.Log(name)
		requireCode(t, esdb.ErrorCodeStreamDeleted, err)
	}
	requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "s"))
	require.NoError(t, softDelete(ctx, c, "s", esdb.Any{}), "to delete it again is no harm")
	require.EqualValues(t, 2, put(t, c, "s", esdb.Any{}, data(1)).NextExpectedVersion)
	require.EqualValues(t, 3, put(t, c, "s", exists, data(1)).NextExpectedVersion)
}

// Who describes a deleted stream begins it anew, as who appends to it does: what was
// deleted stays away. Metadata that is no object bounds nothing, there as anywhere.
func TestMetadataBringsBackNothing(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	for name, try := range map[string]struct {
		metadata string
		expected esdb.ExpectedRevision
		left     []uint64
		after    []uint64 // three more
		kept     int      // revision of the metadata
	}{
		"at its revision": {`{"$maxCount":2,"owner":"support"}`, esdb.Revision(0), []uint64{}, []uint64{4, 5}, 2},
		"any":             {`{"$maxCount":2,"owner":"support"}`, esdb.Any{}, []uint64{}, []uint64{4, 5}, 2},
		"with a $tb":      {`{"$maxCount":2,"owner":"support","$tb":1}`, esdb.StreamExists{}, []uint64{}, []uint64{4, 5}, 2},
		"deleted again":   {`{"$maxCount":2,"owner":"support","$tb":9223372036854775807}`, esdb.Any{}, []uint64{}, []uint64{4, 5}, 2},
		"no UTF-8":        {"{\"$maxCount\":2,\"owner\":\"\xff\"}", esdb.Any{}, []uint64{}, []uint64{4, 5}, 2},
		"no object":       {`[]`, esdb.Any{}, []uint64{0, 1, 2}, []uint64{0, 1, 2, 3, 4, 5}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, c, name, esdb.NoStream{}, several(3)...)
			require.NoError(t, softDelete(background(t), c, name, esdb.Any{}))
			event := esdb.EventData{EventID: uuid.New(), EventType: eventstore.TypeMetadata, Data: []byte(try.metadata)}
			first := put(t, c, "$$"+name, try.expected, event)
			require.EqualValues(t, 1, first.NextExpectedVersion)
			for range 2 {
				require.Equal(t, first, put(t, c, "$$"+name, try.expected, event), "the repeat has the first one's answer")
				require.Equal(t, try.left, numbers(read(t, c, name, esdb.ReadStreamOptions{}, 10)))
			}
			require.EqualValues(t, try.kept, read(t, c, "$$"+name, esdb.ReadStreamOptions{}, 10)[0].EventNumber)
			put(t, c, name, esdb.Revision(2), several(3)...)
			require.Equal(t, try.after, numbers(read(t, c, name, esdb.ReadStreamOptions{}, 10)))
			require.NoError(t, softDelete(background(t), c, name, esdb.Any{}))
			require.Equal(t, first, put(t, c, "$$"+name, try.expected, event), "though it is deleted again")
			requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, name))
		})
	}
}

// Who begins a deleted stream anew isn't bound by what was said about it before, but by
// what is said then.
func TestADeletedStreamBeginsUnbound(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	bound := func() {
		var m esdb.StreamMetadata
		m.SetMaxCount(1)
		_, err := c.SetStreamMetadata(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
		require.NoError(t, err)
	}
	put(t, c, "s", esdb.NoStream{}, several(2)...)
	bound()
	require.NoError(t, softDelete(background(t), c, "s", esdb.Any{}))
	put(t, c, "s", esdb.NoStream{}, several(2)...)
	require.Equal(t, []uint64{2, 3}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 10)))
	require.NoError(t, softDelete(background(t), c, "s", esdb.Any{}))
	bound()
	put(t, c, "s", esdb.Revision(3), several(2)...)
	require.Equal(t, []uint64{5}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 10)))
}

// What never was can't be deleted, and whoever expects a wrong revision is told the one
// at which the stream goes on, deleted or not. A tombstone may be set anywhere.
func TestWrongDeletes(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	ctx := background(t)
	for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.Revision(0)} {
		require.ErrorContains(t, softDelete(ctx, c, "never", expected), "actual -1")
	}
	requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "$$never"))
	put(t, c, "s", esdb.NoStream{}, several(3)...)
	require.NoError(t, softDelete(ctx, c, "s", esdb.Any{}))
	require.ErrorContains(t, softDelete(ctx, c, "s", esdb.Revision(1)), "expected 1, actual 2")
	require.ErrorContains(t, appendError(t, c, "s", esdb.Revision(1)), "expecting '1' but got '2'")
	require.NoError(t, appendError(t, c, "s", esdb.Revision(2)), "nothing, at the right one")
	require.NoError(t, softDelete(ctx, c, "s", esdb.Revision(2)))
	require.NoError(t, softDelete(ctx, c, "s", esdb.NoStream{}))
	_, err := c.TombstoneStream(ctx, "never", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
}

// Who begins a deleted stream anew repeats how it once began, or writes: an event that
// the stream had later on isn't taken for a repeat, which would leave the stream deleted.
func TestADeletedStreamBeginsWithALaterEvent(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	first, later := data(1), data(2)
	put(t, c, "s", esdb.NoStream{}, first, later)
	require.NoError(t, softDelete(background(t), c, "s", esdb.Any{}))
	require.EqualValues(t, 1, put(t, c, "s", esdb.NoStream{}, first, later).NextExpectedVersion)
	require.EqualValues(t, 0, put(t, c, "s", esdb.NoStream{}, first).NextExpectedVersion)
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, appendError(t, c, "s", esdb.NoStream{}, first, data(3)))
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, appendError(t, c, "s", esdb.NoStream{}, first, later, data(3)))
	requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "s"))
	require.EqualValues(t, 3, put(t, c, "s", esdb.NoStream{}, later, first).NextExpectedVersion)
	require.Equal(t, []uint64{2, 3}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 10)))
}

// Earlier versions kept the rest of the metadata when they deleted a stream, and took what
// is odd in it for nothing: such a stream stays deleted.
func TestAStreamThatAnEarlierVersionDeleted(t *testing.T) {
	store, c := open(t, esdbserver.Open)
	put(t, c, "s", esdb.NoStream{}, several(3)...)
	deleted := eventstore.Event{ID: uuid.New(), Type: eventstore.TypeMetadata, Data: []byte(`{"$acl":null,"$maxAge":null,"$tb":9223372036854775807}`)}
	_, err := store.Append(background(t), "$$s", eventstore.NoStream, []eventstore.Event{deleted})
	require.NoError(t, err)
	requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "s"))
}
