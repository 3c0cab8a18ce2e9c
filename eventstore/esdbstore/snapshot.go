package esdbstore

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// A snapshot is an event of a stream of its own, of which the cluster keeps
// only the newest: its data is deflated, its metadata says of what it is.
const (
	snapshotType  = "snapshot"
	metadataEvery = 64
	// maxSnapshot bounds what is inflated, for a log that others write too.
	maxSnapshot = 256 << 20
)

type snapshotMetadata struct {
	Revision int64  `json:"revision"`
	Fold     string `json:"fold"`
}

// SaveSnapshot implements eventstore.Snapshots.
func (s *Store) SaveSnapshot(ctx context.Context, stream string, snapshot eventstore.Snapshot) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	ctx, cancel := s.bound(ctx, s.life)
	defer cancel()
	metadata, err := json.Marshal(snapshotMetadata{Revision: snapshot.Revision, Fold: snapshot.Fold})
	if err != nil {
		return fmt.Errorf("save snapshot of %q: %w", stream, err)
	}
	var data bytes.Buffer
	w, err := flate.NewWriter(&data, flate.BestSpeed)
	if err == nil {
		if _, err = w.Write(snapshot.Data); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("save snapshot of %q: %w", stream, err)
	}
	name := eventstore.SnapshotStream(stream)
	result, err := s.append(ctx, name, esdb.Any{}, []esdb.EventData{{
		EventID: uuid.New(), EventType: snapshotType, Data: data.Bytes(), Metadata: metadata,
	}})
	if err != nil {
		return fmt.Errorf("save snapshot of %q: %w", stream, err)
	}
	// Said with the first one, and now and then again: whoever wrote the first
	// may have died before it said so.
	if result.NextExpectedVersion%metadataEvery == 0 {
		_, err = s.append(ctx, eventstore.MetadataStream(name), esdb.Any{}, []esdb.EventData{{
			EventID: uuid.New(), EventType: eventstore.TypeMetadata, ContentType: esdb.ContentTypeJson, Data: []byte(eventstore.KeepNewest),
		}})
	}
	if err != nil {
		return fmt.Errorf("bound the snapshots of %q: %w", stream, err)
	}
	return nil
}

// LoadSnapshot implements eventstore.Snapshots.
func (s *Store) LoadSnapshot(ctx context.Context, stream string) (eventstore.Snapshot, bool, error) {
	for r, err := range s.ReadStream(ctx, eventstore.SnapshotStream(stream), eventstore.End, eventstore.Backwards, 1) {
		if err != nil {
			return eventstore.Snapshot{}, false, fmt.Errorf("load snapshot of %q: %w", stream, err)
		}
		var m snapshotMetadata
		if err := json.Unmarshal(r.Metadata, &m); err != nil {
			return eventstore.Snapshot{}, false, fmt.Errorf("load snapshot of %q: %w", stream, err)
		}
		data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(r.Data)), maxSnapshot))
		if err != nil {
			return eventstore.Snapshot{}, false, fmt.Errorf("load snapshot of %q: %w", stream, err)
		}
		return eventstore.Snapshot{Revision: m.Revision, Fold: m.Fold, Data: data}, true, nil
	}
	return eventstore.Snapshot{}, false, nil
}
