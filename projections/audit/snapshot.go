package audit

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// A snapshot is what an engine begins an account with, and the events before it are read
// by nobody then: a forged one would be believed. It is held to the state that the fold has
// at its revision. Only the revision is remembered until then.

// snapshots loads one; it is nil where the store keeps none.
type snapshots func(stream string) (eventstore.Snapshot, bool, error)

func (v *verification) snapshots(ctx context.Context) snapshots {
	kept, keeps := v.Store.(eventstore.Snapshots)
	if !keeps {
		return nil
	}
	return func(stream string) (eventstore.Snapshot, bool, error) {
		saved, found, err := kept.LoadSnapshot(ctx, stream)
		if ctx.Err() != nil {
			return saved, false, nil // the whole check ends with it
		}
		return saved, found, err
	}
}

// loadSnapshot gives the snapshot, if it is one that this version's engines would use, and
// remembers its revision. What can't be read is found.
func (s *stream) loadSnapshot(name string, at *eventstore.Recorded) (content ledger.Snapshot, usable bool) {
	s.saved = math.MaxInt64
	if s.snapshots == nil {
		return content, false
	}
	saved, found, err := s.snapshots(name)
	if err == nil && found {
		content, usable, err = ledger.OpenSnapshot(saved)
	}
	if err != nil {
		s.find(at, CheckSnapshot, "", "a whole snapshot", err.Error())
		return content, false
	}
	if usable {
		s.saved = saved.Revision
	}
	return content, usable
}

// compareSnapshot holds the snapshot at this event's revision to the fold. One of another
// revision is newer than the one that was seen before, and its turn comes.
func (s *stream) compareSnapshot(r *eventstore.Recorded) {
	content, usable := s.loadSnapshot(r.Stream, r)
	if !usable || s.saved != r.Revision {
		return
	}
	s.saved = math.MaxInt64
	if content.Hash != s.hash {
		s.find(r, CheckSnapshot, "Hash", s.hash.String(), content.Hash.String())
	}
	if !content.RecordedAt.Equal(s.meta.RecordedAt) {
		s.find(r, CheckSnapshot, "RecordedAt", s.meta.RecordedAt.String(), content.RecordedAt.String())
	}
	want, err := fields(s.state)
	got, damaged := fields(content.State)
	if err = errors.Join(err, damaged); err != nil {
		s.find(r, CheckSnapshot, "", "a state that can be saved", err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !bytes.Equal(want[name], got[name]) {
			s.find(r, CheckSnapshot, name, string(want[name]), string(got[name]))
		}
	}
}

// fields are the parts of a state, each as it would be saved. What is empty and what isn't
// there are the same.
func fields(s *account.State) (parts map[string]jsontext.Value, err error) {
	data, err := json.Marshal(s, json.Deterministic(true))
	if err == nil {
		err = json.Unmarshal(data, &parts)
	}
	return parts, err
}
