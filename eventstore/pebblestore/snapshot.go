package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/eventstore"
)

// SaveSnapshot implements eventstore.Snapshots. It isn't synced: a snapshot that
// a crash takes costs only time.
//
//	crc:4 revision:8 fold data      fold behind its length as a uvarint
func (s *Store) SaveSnapshot(ctx context.Context, stream string, snapshot eventstore.Snapshot) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.diskFull(); err != nil {
		return err
	}
	b := make([]byte, crcBytes, crcBytes+16+len(snapshot.Fold)+len(snapshot.Data))
	b = binary.BigEndian.AppendUint64(b, uint64(snapshot.Revision))
	b = appendPart(b, snapshot.Fold)
	b = append(b, snapshot.Data...)
	binary.BigEndian.PutUint32(b, checksum(0, b[crcBytes:]))
	if err := s.indexDB.Set(snapshotKey(stream), b, pebble.NoSync); err != nil {
		return fmt.Errorf("save snapshot of %q: %w", stream, err)
	}
	return nil
}

// LoadSnapshot implements eventstore.Snapshots. A damaged one is an error.
func (s *Store) LoadSnapshot(ctx context.Context, stream string) (eventstore.Snapshot, bool, error) {
	if err := s.enter(); err != nil {
		return eventstore.Snapshot{}, false, err
	}
	defer s.leave()
	value, closer, err := s.indexDB.Get(snapshotKey(stream))
	if errors.Is(err, pebble.ErrNotFound) {
		return eventstore.Snapshot{}, false, ctx.Err()
	}
	if err != nil {
		return eventstore.Snapshot{}, false, fmt.Errorf("load snapshot of %q: %w", stream, err)
	}
	defer func() { _ = closer.Close() }()
	if len(value) < crcBytes+8 || binary.BigEndian.Uint32(value) != checksum(0, value[crcBytes:]) {
		return eventstore.Snapshot{}, false, fmt.Errorf("load snapshot of %q: %w", stream, errChecksum)
	}
	p := parser{rest: value[crcBytes+8:]}
	snapshot := eventstore.Snapshot{Revision: int64(binary.BigEndian.Uint64(value[crcBytes:])), Fold: string(p.part())}
	snapshot.Data = append([]byte(nil), p.rest...)
	if p.failed {
		return eventstore.Snapshot{}, false, fmt.Errorf("load snapshot of %q: %w", stream, errShort)
	}
	return snapshot, true, nil
}
