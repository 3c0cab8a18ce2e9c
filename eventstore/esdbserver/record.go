package esdbserver

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// What every event carries as metadata of the protocol. A missing one ends the
// process of a Go client.
const (
	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"

	contentJSON   = "application/json"
	contentBinary = "application/octet-stream"
)

// typeLink is the type of an event that points to another.
const typeLink = "$>"

// tombstoneRevision is the revision that clients know a tombstone by.
const tombstoneRevision = uint64(eventstore.End)

// ticks are 100 ns since the Unix epoch.
func ticks(t time.Time) int64 { return t.UnixNano() / 100 }

// recordedEvent gives an event the protocol's form. A Store has no field for
// the content type: data that reads as JSON is JSON.
func recordedEvent(r *eventstore.Recorded, textID bool) *streams.ReadResp_ReadEvent_RecordedEvent {
	content := contentBinary
	if jsontext.Value(r.Data).IsValid() {
		content = contentJSON
	}
	id := structured(r.ID)
	if textID {
		id = &shared.UUID{Value: &shared.UUID_String_{String_: r.ID.String()}}
	}
	revision := uint64(r.Revision)
	if r.Type == eventstore.TypeTombstone {
		revision = tombstoneRevision
	}
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               id,
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.Stream)},
		StreamRevision:   revision,
		CommitPosition:   uint64(r.Position),
		PreparePosition:  uint64(r.Position),
		Metadata: map[string]string{
			keyType: r.Type, keyContentType: content, keyCreated: strconv.FormatInt(ticks(r.Created), 10),
		},
		CustomMetadata: r.Metadata,
		Data:           r.Data,
	}
}

func structured(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

func parseID(id *shared.UUID) (uuid.UUID, error) {
	if s := id.GetStructured(); s != nil {
		var parsed uuid.UUID
		binary.BigEndian.PutUint64(parsed[:8], uint64(s.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(parsed[8:], uint64(s.GetLeastSignificantBits()))
		return parsed, nil
	}
	parsed, err := uuid.Parse(id.GetString_())
	if err != nil {
		return uuid.Nil, fmt.Errorf("event id: %w", err)
	}
	return parsed, nil
}

// proposed reads an event that a client hands over.
func proposed(m *streams.AppendReq_ProposedMessage) (eventstore.Event, error) {
	id, err := parseID(m.GetId())
	if err != nil {
		return eventstore.Event{}, status.Error(codes.InvalidArgument, err.Error())
	}
	e := eventstore.Event{ID: id, Type: m.GetMetadata()[keyType], Data: m.GetData(), Metadata: m.GetCustomMetadata()}
	switch e.Type {
	case "":
		return eventstore.Event{}, status.Errorf(codes.InvalidArgument, "event %s has no type", id)
	case eventstore.TypeTombstone:
		return eventstore.Event{}, status.Errorf(codes.InvalidArgument, "event type %s is written by Tombstone only", eventstore.TypeTombstone)
	}
	if err := eventstore.CheckType(e.Type); err != nil {
		return eventstore.Event{}, status.Errorf(codes.InvalidArgument, "event %s: %v", id, err)
	}
	return e, nil
}
