package eventstore

import (
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"
)

// CheckAppend holds the caller of Append to the contract, for every store alike.
// Error: ErrInvalid, with the figure that is wrong.
func CheckAppend(stream string, expected int64, events []Event) error {
	if err := CheckStream(stream); err != nil {
		return err
	}
	if len(events) == 0 || expected < NoStream {
		return fmt.Errorf("%w: %d events at revision %d", ErrInvalid, len(events), expected)
	}
	for i := range events {
		e := &events[i]
		if size := len(e.Data) + len(e.Metadata); size > MaxEventBytes {
			return fmt.Errorf("%w: event %d has %d bytes, more than %d", ErrInvalid, i, size, MaxEventBytes)
		}
		if err := CheckType(e.Type); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	if !distinct(events) {
		return fmt.Errorf("%w: two events have one id", ErrInvalid)
	}
	return nil
}

func distinct(events []Event) bool {
	if len(events) == 1 {
		return true
	}
	ids := make(map[uuid.UUID]struct{}, len(events))
	for i := range events {
		ids[events[i].ID] = struct{}{}
	}
	return len(ids) == len(events)
}

// CheckType accepts the types that every store can keep. Error: ErrInvalid.
func CheckType(typ string) error {
	if len(typ) > MaxTypeName {
		return fmt.Errorf("%w: type has %d bytes, more than %d", ErrInvalid, len(typ), MaxTypeName)
	}
	if !utf8.ValidString(typ) {
		return fmt.Errorf("%w: type %q is not UTF-8", ErrInvalid, typ)
	}
	return nil
}

// CheckStream accepts the names that every store can keep. Error: ErrInvalid.
func CheckStream(stream string) error {
	if len(stream) == 0 || len(stream) > MaxStreamName {
		return fmt.Errorf("%w: stream name has %d bytes, 1 to %d are allowed", ErrInvalid, len(stream), MaxStreamName)
	}
	if !utf8.ValidString(stream) {
		return fmt.Errorf("%w: stream name %q is not UTF-8", ErrInvalid, stream)
	}
	return nil
}
